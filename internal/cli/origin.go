package cli

import (
	"fmt"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// origin is where an object was read.
type origin struct {
	document document
	// item is the position in a list, from 1; 0 when the document is the object itself.
	item int
}

// String names the origin, such as "shop.yaml (document 2, item 1)".
func (o origin) String() string { return o.at(0) }

// at names a line of the origin; 0 for none.
func (o origin) at(line int) string {
	if from := o.document.from; from != nil {
		return fmt.Sprintf("%s, built by %s", from.at(line), o.document.file)
	}
	var b strings.Builder
	b.WriteString(o.document.file)
	if line > 0 {
		fmt.Fprintf(&b, ":%d", line)
	}
	if o.document.number == 0 {
		return b.String()
	}
	fmt.Fprintf(&b, " (document %d", o.document.number)
	if o.item > 0 {
		fmt.Fprintf(&b, ", item %d", o.item)
	}
	b.WriteString(")")
	return b.String()
}

// atField names the line that a field of the object is on, or the nearest around it that exists: a
// finding may be about a field that is missing.
func (o origin) atField(path string) string {
	line, _ := o.positionOf(path)
	return o.at(line)
}

// writtenAt is the file and the line, from 1, that a field is at; 0 if nobody wrote the text.
func (o origin) writtenAt(path string) (file string, line int) {
	for o.document.from != nil {
		o = *o.document.from
	}
	if line, _ = o.positionOf(path); line == 0 {
		return "", 0
	}
	return o.document.file, line
}

// positionOf returns the line of the file and the column, both from 1, that a field is at; 0 if nobody wrote
// the text.
func (o origin) positionOf(path string) (line, column int) {
	if o.document.from != nil {
		return o.document.from.positionOf(path)
	}
	if o.document.built || o.document.root == nil {
		return 0, 0
	}
	root := o.document.root()
	if root == nil {
		return 0, 0
	}
	if o.item > 0 {
		path = fmt.Sprintf("items[%d].%s", o.item-1, path)
	}
	at := nodeAt(root, path)
	return o.document.linesBefore + at.Line, at.Column
}

// written is the scalar at a field as it is written, where that is not what it is read as: y is true, and 1.10 is 1.1.
// It is empty where nothing is there, or nobody wrote it.
func (o origin) written(path string) string {
	if o.document.from != nil || o.document.root == nil {
		return ""
	}
	node := o.document.root()
	if o.item > 0 {
		path = fmt.Sprintf("items[%d].%s", o.item-1, path)
	}
	for node != nil && path != "" {
		_, next, rest := step(node, path)
		node, path = next, strings.TrimPrefix(rest, ".")
	}
	if node == nil || node.Kind != yaml.ScalarNode {
		return ""
	}
	return node.Value
}

// nodeAt follows a path such as spec.tiers[0].podSelector as far as the nodes go, and returns the one
// that it gets to: of a field, its key.
func nodeAt(node *yaml.Node, path string) *yaml.Node {
	at := node
	for path != "" {
		key, next, rest := step(node, path)
		if next == nil {
			return at
		}
		at, node, path = key, next, strings.TrimPrefix(rest, ".")
	}
	return at
}

// step follows the first part of a path, to a key and what is under it; both are nil when there is no such
// thing. An item of a list is its own key.
func step(node *yaml.Node, path string) (at, next *yaml.Node, rest string) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	index, afterIndex, indexed := strings.Cut(strings.TrimPrefix(path, "["), "]")
	indexed = indexed && strings.HasPrefix(path, "[")
	switch {
	case node.Kind == yaml.SequenceNode && indexed:
		i, err := strconv.Atoi(index)
		if err != nil || i < 0 || i >= len(node.Content) {
			return nil, nil, ""
		}
		return node.Content[i], node.Content[i], afterIndex
	case node.Kind != yaml.MappingNode:
		return nil, nil, ""
	}
	// Keys may hold dots themselves, as labels do: the longest that fits is meant.
	longest := -1
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i].Value
		after, fits := strings.CutPrefix(path, key)
		fits = fits && key != "" && (after == "" || after[0] == '.' || after[0] == '[')
		if indexed && key == index {
			after, fits = afterIndex, true
		}
		if fits && len(key) > longest {
			longest, at, next, rest = len(key), node.Content[i], node.Content[i+1], after
		}
	}
	return at, next, rest
}
