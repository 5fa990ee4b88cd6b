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
	root := filepath.Join(r.root, "charts", "apptier")
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		path, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		switch path = filepath.ToSlash(path); path {
		case "Chart.yaml":
			content, err = replace(content, `(?m)^version: .*$`, "version: "+version, `(?m)^appVersion: .*$`, "appVersion: "+r.version)
		case "values.yaml":
			for _, name := range imageNames {
				if content, err = replace(content, `(repository: )apptier/`+name+`\n((?:.*\n)*?.*digest: )""`,
					"${1}"+r.registry+"/"+name+"\n${2}"+r.images[name].String()); err != nil {
					return err
				}
			}
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

// replace replaces what patterns find, each of which must find one place: comments stay where they are.
func replace(content []byte, patterns ...string) ([]byte, error) {
	for i := 0; i < len(patterns); i += 2 {
		pattern := regexp.MustCompile(patterns[i])
		if n := len(pattern.FindAllIndex(content, -1)); n != 1 {
			return nil, fmt.Errorf("%d places are like %s", n, pattern)
		}
		content = pattern.ReplaceAll(content, []byte(patterns[i+1]))
	}
	return content, nil
}
