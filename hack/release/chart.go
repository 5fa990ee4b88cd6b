package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// writeChart packs charts/apptier with the versions and the images of the release. "helm package" would write the time.
func (r *release) writeChart() error {
	version := strings.TrimPrefix(r.version, "v")
	var entries []entry
	chart := os.DirFS(filepath.Join(r.root, "charts", "apptier"))
	err := fs.WalkDir(chart, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(chart, path)
		if err != nil {
			return err
		}
		switch path {
		case "Chart.yaml":
			content, err = replace(content, replacement{`(?m)^version: .*$`, "version: " + version},
				replacement{`(?m)^appVersion: .*$`, "appVersion: " + r.version})
		case "values.yaml":
			var digests []replacement
			for _, name := range imageNames {
				digests = append(digests, replacement{`(repository: )apptier/` + name + `\n((?:.*\n)*?.*digest: )""`,
					"${1}" + r.registry + "/" + name + "\n${2}" + r.images[name].String()})
			}
			content, err = replace(content, digests...)
		}
		entries = append(entries, entry{"apptier/" + path, 0o644, content})
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the chart: %w", err)
	}
	packed, err := packTarGz(entries, r.time)
	if err != nil {
		return fmt.Errorf("packing the chart: %w", err)
	}
	return r.writeFile("apptier-"+version+".tgz", packed)
}

type replacement struct{ pattern, by string }

// replace replaces what patterns find, each of which must find one place: comments stay where they are.
func replace(content []byte, replacements ...replacement) ([]byte, error) {
	for _, r := range replacements {
		pattern := regexp.MustCompile(r.pattern)
		if n := len(pattern.FindAllIndex(content, -1)); n != 1 {
			return nil, fmt.Errorf("%d places are like %s", n, pattern)
		}
		content = pattern.ReplaceAll(content, []byte(r.by))
	}
	return content, nil
}
