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
func (o origin) atField(path string) string { return o.at(o.lineOf(path)) }

// lineOf returns the line of the file that a field is on, or 0 if nobody wrote the text.
func (o origin) lineOf(path string) int {
	if o.document.built {
		return 0
	}
	root := o.document.root()
	if root == nil {
		return 0
	}
	if o.item > 0 {
		path = fmt.Sprintf("items[%d].%s", o.item-1, path)
	}
	return o.document.linesBefore + lineOf(root, path)
}

// lineOf follows a path such as spec.tiers[0].podSelector as far as the nodes go, and returns the
// line it gets to.
func lineOf(node *yaml.Node, path string) int {
	line := node.Line
	for path != "" {
		next, nextLine, rest := step(node, path)
		if next == nil {
			return line
		}
		node, line, path = next, nextLine, strings.TrimPrefix(rest, ".")
	}
	return line
}

// step follows the first part of a path; the node is nil when there is no such thing.
func step(node *yaml.Node, path string) (next *yaml.Node, line int, rest string) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	index, afterIndex, indexed := strings.Cut(strings.TrimPrefix(path, "["), "]")
	indexed = indexed && strings.HasPrefix(path, "[")
	switch {
	case node.Kind == yaml.SequenceNode && indexed:
		i, err := strconv.Atoi(index)
		if err != nil || i < 0 || i >= len(node.Content) {
			return nil, 0, ""
		}
		return node.Content[i], node.Content[i].Line, afterIndex
	case node.Kind != yaml.MappingNode:
		return nil, 0, ""
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
			longest, next, line, rest = len(key), node.Content[i+1], node.Content[i].Line, after
		}
	}
	return next, line, rest
}
