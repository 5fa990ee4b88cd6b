package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/apptier/apptier/internal/testenv/manifests"
	"github.com/apptier/apptier/internal/testenv/repository"
	"github.com/apptier/apptier/test/cluster/build"
)

// previousVersion is the commit that one comes from in the tests: the newest whose ruleset or kinds were others. It is the
// last before rules became values and policies could be staged. Once there are releases it is the one before.
const previousVersion = "e6fa0d0c6d277bd8837764661100fb99f5143177"

// previous is an earlier version of the project, built from its history.
type previous struct {
	source string
	images []string
	// install is config/default with these images.
	install []byte
}

// buildPrevious takes the earlier version out of the clone's history, which a shallow clone fetches it for.
func buildPrevious(ctx context.Context) previous {
	GinkgoHelper()
	root, err := repository.Dir(ctx)
	Expect(err).NotTo(HaveOccurred())
	git := func(args ...string) ([]byte, error) {
		return exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...).CombinedOutput()
	}
	if out, err := git("rev-parse", "--git-dir"); err != nil {
		Skip("this source has no history to take the earlier version from: " + string(out))
	}
	if _, err := git("cat-file", "-e", previousVersion+"^{commit}"); err != nil {
		out, err := git("fetch", "--depth=1", "origin", previousVersion)
		Expect(err).NotTo(HaveOccurred(), "the clone lacks %s, and cannot fetch it (git fetch --unshallow): %s", previousVersion, out)
	}
	p := previous{source: GinkgoT().TempDir()}
	archive := filepath.Join(GinkgoT().TempDir(), "source.tar")
	out, err := git("archive", "--output="+archive, previousVersion, "--",
		"api", "cmd", "config", "controllers", "enforcer", "internal", "policy", "webhooks", "go.mod", "go.sum")
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	out, err = exec.CommandContext(ctx, "tar", "-xf", archive, "-C", p.source).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)

	for name, user := range map[string]string{"manager": "65532:65532", "enforcer": ""} {
		p.images = append(p.images, p.image(ctx, root, name, user))
	}
	install, err := manifests.KustomizeDir(filepath.Join(p.source, "config", "default"))
	Expect(err).NotTo(HaveOccurred())
	text := strings.NewReplacer(
		"apptier/manager:dev", "apptier/manager:previous", "apptier/enforcer:dev", "apptier/enforcer:previous").Replace(string(install))
	Expect(text).To(And(ContainSubstring("apptier/manager:previous"), ContainSubstring("apptier/enforcer:previous")))
	p.install = []byte(text)
	return p
}

// image builds a program of the earlier version with the libraries of the present one, which are compiled already: what is
// tried is what the two versions make of each other's objects and rules.
func (p previous) image(ctx context.Context, root, name, user string) (tar string) {
	GinkgoHelper()
	binary := filepath.Join(p.source, "program-"+name)
	command := exec.CommandContext(ctx, "go", "build", "-modfile="+filepath.Join(root, "go.mod"), "-trimpath", "-buildvcs=false",
		"-gcflags=all=-dwarf=false", "-ldflags", "-s -w", "-o", binary, "./cmd/"+name)
	command.Dir, command.Env = p.source, append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0", "GOGC=400")
	out, err := command.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)
	tar = binary + ".tar"
	Expect(build.Image{
		Refs: []string{"apptier/" + name + ":previous"}, Files: map[string]string{"/" + name: binary},
		Entrypoint: []string{"/" + name}, User: user,
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}.WriteTar(tar)).To(Succeed())
	return tar
}
