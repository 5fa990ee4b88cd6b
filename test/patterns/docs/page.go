package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"text/template"

	"github.com/apptier/apptier/policy/draw"
	"github.com/apptier/apptier/test/patterns"
)

//go:embed page.md.tmpl
var text string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"anchor": anchor, "draw": drawing, "where": where, "sources": sources, "targets": targets, "list": list,
}).Parse(text))

func page(all []patterns.Pattern) ([]byte, error) {
	var out bytes.Buffer
	values := struct {
		SampleDir string
		Patterns  []patterns.Pattern
	}{patterns.SampleDir, all}
	err := pageTemplate.Execute(&out, values)
	return out.Bytes(), err
}

// anchor is what GitHub makes of a heading.
func anchor(heading string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(heading), ",", ""), " ", "-")
}

func drawing(p patterns.Pattern) string { return draw.Mermaid(p.AppTiers...) }

// where tells what the names of a table do not tell by themselves.
func where(t patterns.Table) string {
	var facts []string
	for _, name := range slices.Sorted(maps.Keys(t.Namespaces)) {
		facts = append(facts, fmt.Sprintf("namespace `%s` has the label `%s`", name, labels(t.Namespaces[name])))
	}
	for _, name := range slices.Sorted(maps.Keys(t.Pods)) {
		_, pod, _ := strings.Cut(name, "/")
		if of := t.Pods[name]; len(of) != 1 || of["app"] != pod {
			facts = append(facts, fmt.Sprintf("`%s` has the labels `%s`", name, labels(of)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Outside)) {
		facts = append(facts, fmt.Sprintf("`%s` is %s", name, list(addresses(t.Outside[name]))))
	}
	if len(facts) == 0 {
		return ""
	}
	return strings.ToUpper(facts[0][:1]) + strings.Join(facts, "; ")[1:] + "."
}

func labels(set map[string]string) string {
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(set)) {
		texts = append(texts, key+"="+set[key])
	}
	return strings.Join(texts, ", ")
}

func addresses(list []netip.Addr) []string {
	var texts []string
	for _, address := range list {
		texts = append(texts, address.String())
	}
	return texts
}

func sources(row patterns.Row) string { return list(row.Sources) }

func targets(row patterns.Row) string {
	var texts []string
	for _, target := range row.Targets {
		texts = append(texts, target.String())
	}
	return list(texts)
}

// list is a list of names, each in the type of code.
func list(texts []string) string {
	return "`" + strings.Join(texts, "`, `") + "`"
}
