package build

import (
	"context"
	"io"
	"path/filepath"

	"github.com/apptier/apptier/test/cluster/host"
)

// Conformance builds what Kubernetes tests clusters with, of the version of the embedded cluster, unless
// this machine has done so before. It returns the folder that holds e2e.test, and ginkgo to run it with.
func Conformance(ctx context.Context, progress io.Writer) (dir string, err error) {
	src, err := findSource(ctx)
	if err != nil {
		return "", err
	}
	key, err := src.key(conformanceParts)
	if err != nil {
		return "", err
	}
	cache, err := CacheDir("conformance")
	if err != nil {
		return "", err
	}
	dir = filepath.Join(cache, key)
	unlock, err := host.Lock(ctx, filepath.Join(cache, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	b := builder{source: src, report: newReport(progress)}
	const what = "Kubernetes' end-to-end tests (once on this machine; about 7 minutes when Go's build cache is empty)"
	return dir, once(dir, func(dir string) error { return b.buildParts(ctx, dir, what, conformanceParts) })
}
