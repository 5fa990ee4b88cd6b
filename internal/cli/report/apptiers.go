package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
	k8syaml "sigs.k8s.io/yaml"
)

// AppTierYAML is an object as people write AppTiers: its fields in the order of the schema, and what is short on a line.
func AppTierYAML(object any) ([]byte, error) { return CommentedYAML(object, nil) }

// CommentedYAML is AppTierYAML with comments, each above the field or the item of its path.
func CommentedYAML(object any, comments map[string][]string) ([]byte, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var document yaml.Node // JSON is YAML, and keeps the order
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("reading what was written: %w", err)
	}
	shorten(&document)
	for path, lines := range comments {
		if at := itemAt(&document, path); at != nil {
			at.HeadComment = "# " + strings.Join(lines, "\n# ")
		}
	}
	inOrder(&document)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	if err := encoder.Encode(&document); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

// pathStep is a field or an index of a path, such as spec.tiers[0].
var pathStep = regexp.MustCompile(`[^.\[\]]+`)

// itemAt is the item of a list that a path leads to; nil if there is none.
func itemAt(document *yaml.Node, path string) *yaml.Node {
	at := document
	if at.Kind == yaml.DocumentNode {
		at = at.Content[0]
	}
	for _, step := range pathStep.FindAllString(path, -1) {
		var next *yaml.Node
		index, err := strconv.Atoi(step)
		switch {
		case at.Kind == yaml.SequenceNode && err == nil && index < len(at.Content):
			next = at.Content[index]
		case at.Kind == yaml.MappingNode:
			for i := 0; i+1 < len(at.Content); i += 2 {
				if at.Content[i].Value == step {
					next = at.Content[i+1]
				}
			}
		}
		if next == nil {
			return nil
		}
		at = next
	}
	return at
}

// mostOfLine is how long a line may be for what is written on one, without what comes before it.
const mostOfLine = 100

// shorten has each node in the style of people: no quotes where none are needed, and maps of words on a line.
func shorten(node *yaml.Node) {
	node.Style = 0
	if isMistaken(node) {
		node.Style = yaml.DoubleQuotedStyle
	}
	for _, child := range node.Content {
		shorten(child)
	}
	if node.Kind != yaml.MappingNode && node.Kind != yaml.SequenceNode {
		return
	}
	for i := 1; node.Kind == yaml.MappingNode && i < len(node.Content); i += 2 {
		key, value := node.Content[i-1].Value, node.Content[i]
		isLine := key == "matchLabels" || key == "appTier" || key == "namespaceSelector" || key == "namespaces" || key == "isolation" ||
			key == "networks" || key == "dns" && isWords(value) || value.Kind == yaml.SequenceNode && isWords(value)
		if len(value.Content) == 0 || isLine && lengthOf(value) <= mostOfLine {
			inLine(value)
		}
	}
	for _, item := range node.Content {
		isPort := node.Kind == yaml.SequenceNode && item.Kind == yaml.MappingNode && len(item.Content) > 2 && isWords(item)
		if isPort || item.Kind == yaml.MappingNode && node.Kind == yaml.SequenceNode && isRequirement(item) && lengthOf(item) <= mostOfLine {
			inLine(item)
		}
	}
}

// before are the fields that people write before others of the same object, and the schema has behind them.
var before = map[string]string{"apiVersion": "kind", "from": "ports", "to": "ports", "policyTypes": "ingress", "port": "protocol"}

// inOrder has the fields in the order in which people write them.
func inOrder(node *yaml.Node) {
	for _, child := range node.Content {
		inOrder(child)
	}
	if node.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i < len(node.Content); i += 2 {
		for j := 0; j < i; j += 2 {
			if first := before[node.Content[i].Value]; first != "" && node.Content[j].Value == first {
				pair := []*yaml.Node{node.Content[i], node.Content[i+1]}
				node.Content = slices.Insert(slices.Delete(node.Content, i, i+2), j, pair...)
				break
			}
		}
	}
}

// isMistaken says whether a text would be read as something else without quotes, by those who read YAML 1.1 too, as
// kubectl does.
func isMistaken(node *yaml.Node) bool {
	if node.Kind != yaml.ScalarNode || node.Tag != yaml.NodeTagString {
		return false
	}
	var read any
	err := k8syaml.Unmarshal([]byte(node.Value), &read)
	return err != nil || read != any(node.Value)
}

// inLine has a node and all in it on a line.
func inLine(node *yaml.Node) {
	if node.Kind == yaml.MappingNode || node.Kind == yaml.SequenceNode {
		node.Style = yaml.FlowStyle
	}
	for _, child := range node.Content {
		inLine(child)
	}
}

// isWords says whether there is nothing in a node but scalars.
func isWords(node *yaml.Node) bool {
	for _, child := range node.Content {
		if child.Kind != yaml.ScalarNode {
			return false
		}
	}
	return true
}

// isRequirement says whether a map is a requirement of a selector.
func isRequirement(node *yaml.Node) bool {
	for i := 0; i < len(node.Content); i += 2 {
		if node.Content[i].Value == "operator" {
			return true
		}
	}
	return false
}

func lengthOf(node *yaml.Node) int {
	n := len(node.Value) + 2
	for _, child := range node.Content {
		n += lengthOf(child)
	}
	return n
}
