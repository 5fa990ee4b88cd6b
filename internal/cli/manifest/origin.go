package manifest

import (
	"fmt"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// Origin is where an object was read.
type Origin struct {
	Document Document
	// item is the position in a list, from 1; 0 when the document is the object itself.
	Item int
}

// String names the origin, such as "shop.yaml (document 2, item 1)".
func (o Origin) String() string { return o.At(0) }

// At names a line of the origin; 0 for none.
func (o Origin) At(line int) string {
	if from := o.Document.From; from != nil {
		return fmt.Sprintf("%s, built by %s", from.At(line), o.Document.File)
	}
	var b strings.Builder
	b.WriteString(o.Document.File)
	if line > 0 {
		fmt.Fprintf(&b, ":%d", line)
	}
	if o.Document.Number == 0 {
		return b.String()
	}
	fmt.Fprintf(&b, " (document %d", o.Document.Number)
	if o.Item > 0 {
		fmt.Fprintf(&b, ", item %d", o.Item)
	}
	b.WriteString(")")
	return b.String()
}

// AtField names the line that a field of the object is on, or the nearest around it that exists: a
// finding may be about a field that is missing.
func (o Origin) AtField(path string) string {
	line, _ := o.positionOf(path)
	return o.At(line)
}

// WrittenAt is the file and the line, from 1, that a field is at; 0 if nobody wrote the text.
func (o Origin) WrittenAt(path string) (file string, line int) {
	for o.Document.From != nil {
		o = *o.Document.From
	}
	if line, _ = o.positionOf(path); line == 0 {
		return "", 0
	}
	return o.Document.File, line
}

// positionOf returns the line of the file and the column, both from 1, that a field is at; 0 if nobody wrote
// the text.
func (o Origin) positionOf(path string) (line, column int) {
	if o.Document.From != nil {
		return o.Document.From.positionOf(path)
	}
	if o.Document.Built || o.Document.root == nil {
		return 0, 0
	}
	root := o.Document.root()
	if root == nil {
		return 0, 0
	}
	if o.Item > 0 {
		path = fmt.Sprintf("items[%d].%s", o.Item-1, path)
	}
	at := nodeAt(root, path)
	return o.Document.linesBefore + at.Line, at.Column
}

// written is the scalar at a field as it is written, where that is not what it is read as: y is true, and 1.10 is 1.1.
// It is empty where nothing is there, or nobody wrote it.
func (o Origin) written(path string) string {
	if o.Document.From != nil || o.Document.root == nil {
		return ""
	}
	node := o.Document.root()
	if o.Item > 0 {
		path = fmt.Sprintf("items[%d].%s", o.Item-1, path)
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

// LiveName is what people know the cluster by, where others have a file.
const LiveName = "the cluster"

// IsLive says whether the object is a cluster's, and of no file.
func (o Object) IsLive() bool { return o.Origin.Document.File == LiveName }

// Lines is how many lines the object has, without empty ones and comments; 0 where nobody wrote it as a document of
// its own.
func (o Origin) Lines() int {
	if o.Item > 0 || o.Document.Built || o.Document.isJSON {
		return 0
	}
	n := 0
	for line := range strings.Lines(string(o.Document.text)) {
		if line = strings.TrimSpace(line); line != "" && line != "---" && !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}
