package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

// object is one of kustomize's objects on the way to a template: where text of a template is to be, a mark stands
// until the object is written. The first error is kept, so that what is done to an object reads as a list.
type object struct {
	*kyaml.RNode
	condition string
	texts     []string
	err       error
}

// mark is a word that no object has.
func (o *object) mark(text string) string {
	o.texts = append(o.texts, text)
	return fmt.Sprintf("TEMPLATE_%d", len(o.texts)-1)
}

// at is what is at a path of the object: names of fields, places in lists, or [field=value] for elements of lists.
func (o *object) at(path ...string) *kyaml.RNode {
	if o.err != nil {
		return kyaml.NewMapRNode(nil)
	}
	found, err := o.Pipe(kyaml.Lookup(path...))
	if err == nil && found == nil {
		err = fmt.Errorf("nothing is there")
	}
	if err != nil {
		o.err = fmt.Errorf("%s %s: looking for %v: %w", o.GetKind(), o.GetName(), path, err)
		return kyaml.NewMapRNode(nil)
	}
	return found
}

// value puts an expression in place of a scalar.
func (o *object) value(expression string, path ...string) {
	o.at(path...).YNode().SetString(o.mark("{{ " + expression + " }}"))
}

// values puts a value of the chart in place of a map or a list, whole.
func (o *object) values(value string, path ...string) {
	place := o.at(path...)
	*place.YNode() = kyaml.Node{Kind: kyaml.MappingNode, Tag: kyaml.NodeTagMap}
	appendTo(place, o.mark("{{- toYaml "+value+" | nindent INDENT }}"))
}

// lines puts lines of a template behind the others of a map or a list, which is made a map if it is not there.
func (o *object) lines(text string, path ...string) {
	if o.err != nil {
		return
	}
	place, err := o.Pipe(kyaml.LookupCreate(kyaml.MappingNode, path...))
	if err != nil {
		o.err = fmt.Errorf("%s %s: making %v: %w", o.GetKind(), o.GetName(), path, err)
		return
	}
	appendTo(place, o.mark(text))
}

// only keeps an element of a list, or a field of a map, for a condition; otherwise says what is there else.
func (o *object) only(condition, otherwise string, path ...string) {
	last := len(path) - 1
	o.at(path...)
	list, begin, end := o.at(path[:last]...), "{{- if "+condition+" }}", "{{- end }}"
	if o.err != nil {
		return
	}
	if otherwise != "" {
		end = "{{- else }}\n" + otherwise + "\n{{- end }}"
	}
	node, step := list.YNode(), 1
	place, err := strconv.Atoi(path[last])
	if node.Kind == kyaml.MappingNode {
		step = 2
		place = slices.IndexFunc(node.Content, func(n *kyaml.Node) bool { return n.Value == path[last] })
	} else if err != nil {
		found := o.at(path...).YNode()
		place = slices.Index(node.Content, found)
	}
	node.Content = slices.Insert(node.Content, place+step, line(node.Kind, o.mark(end))...)
	node.Content = slices.Insert(node.Content, place, line(node.Kind, o.mark(begin))...)
}

func appendTo(place *kyaml.RNode, mark string) {
	node := place.YNode()
	node.Content = append(node.Content, line(node.Kind, mark)...)
}

// line is a mark that is by itself on a line of a map or of a list.
func line(kind kyaml.Kind, mark string) []*kyaml.Node {
	key := &kyaml.Node{Kind: kyaml.ScalarNode, Tag: kyaml.NodeTagString, Value: mark}
	if kind == kyaml.MappingNode {
		return []*kyaml.Node{key, {Kind: kyaml.ScalarNode, Tag: kyaml.NodeTagNull, Value: "null"}}
	}
	return []*kyaml.Node{key}
}

var (
	lineMark = regexp.MustCompile(`(?m)^( *)(?:- )?TEMPLATE_(\d+)(?:: null)?$`)
	wordMark = regexp.MustCompile(`TEMPLATE_(\d+)`)
)

// template is the object as text of a template. What only looks like an expression stays what it is.
func (o *object) template() (string, error) {
	if o.err != nil {
		return "", o.err
	}
	text, err := o.String()
	if err != nil {
		return "", fmt.Errorf("writing %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	text = strings.ReplaceAll(text, "{{", `{{ "{{" }}`)
	text = strings.ReplaceAll(text, "apptier-system", "{{ .Release.Namespace }}")
	text = lineMark.ReplaceAllStringFunc(text, func(found string) string {
		parts := lineMark.FindStringSubmatch(found)
		lines := strings.Split(o.text(parts[2]), "\n")
		for i := range lines {
			lines[i] = parts[1] + strings.ReplaceAll(lines[i], "INDENT", strconv.Itoa(len(parts[1])))
		}
		return strings.Join(lines, "\n")
	})
	text = wordMark.ReplaceAllStringFunc(text, func(found string) string { return o.text(strings.TrimPrefix(found, "TEMPLATE_")) })
	if o.condition != "" {
		text = "{{- if " + o.condition + " }}\n" + text + "{{- end }}\n"
	}
	return text, nil
}

func (o *object) text(number string) string {
	i, _ := strconv.Atoi(number) // by lineMark and wordMark
	return o.texts[i]
}
