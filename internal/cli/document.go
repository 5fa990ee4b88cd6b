package cli

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	yamlv3 "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/yaml"
)

// document is one YAML document, or the one JSON value of a file.
type document struct {
	// file is what people know the input by.
	file string
	// number counts the documents of the file from 1; 0 when there is no file.
	number int
	// linesBefore is how many lines of the file precede the text.
	linesBefore int
	text        []byte
	// built is set when the text was made by a tool: its lines are not lines that anyone wrote.
	built bool
	// root returns what knows the lines of the text, nil if there is nothing. It is asked for every
	// finding, and parses but once; of a built document, nobody may ask.
	root func() *yamlv3.Node
}

// split returns the documents of a text. YAML allows "---" and "..." at the start of a line
// nowhere but around documents, so looking for these is enough. A reader that takes the first
// document and drops the rest, as YAML libraries do by default, would drop policies.
func split(file string, text []byte) []document {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	var documents []document
	current := document{file: file, number: 1}
	flush := func(nextLine int) {
		if !isBlank(current.text) {
			text := current.text
			current.root = sync.OnceValue(func() *yamlv3.Node { return rootOf(text) })
			documents = append(documents, current)
			current.number++
		}
		current.text, current.linesBefore = nil, nextLine
	}
	line := 0
	for content := range bytes.Lines(text) {
		switch {
		case isMarker(content, "---"):
			flush(line)
			current.text = append(current.text, content...)
		case isMarker(content, "..."):
			flush(line + 1)
		default:
			current.text = append(current.text, content...)
		}
		line++
	}
	flush(line)
	return documents
}

// rootOf parses a text.
func rootOf(text []byte) *yamlv3.Node {
	var root yamlv3.Node
	if yamlv3.Unmarshal(text, &root) != nil || len(root.Content) == 0 {
		return nil
	}
	return root.Content[0]
}

// isMarker says whether a line is a document marker, which may be followed by content or a comment.
func isMarker(line []byte, marker string) bool {
	rest, found := bytes.CutPrefix(line, []byte(marker))
	return found && (len(rest) == 0 || strings.ContainsRune(" \t\r\n", rune(rest[0])))
}

// isBlank says whether a text is only space and comments, before the first marker of a file. A
// document that starts with a marker counts even when it says nothing, as in other tools.
func isBlank(text []byte) bool {
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// json converts the document. Keys that are given twice are refused, since one of them would
// silently win.
func (d document) json() ([]byte, error) {
	text, err := yaml.YAMLToJSONStrict(d.text)
	if err == nil {
		return text, nil
	}
	if d.linesBefore > 0 && !d.built {
		// The library counts lines from the start of what it is given: give it those before too.
		padded := append(bytes.Repeat([]byte("\n"), d.linesBefore), d.text...)
		if _, paddedErr := yaml.YAMLToJSONStrict(padded); paddedErr != nil {
			err = paddedErr
		}
	}
	reason := strings.Join(strings.Fields(err.Error()), " ") // it may be a list over several lines
	return nil, fmt.Errorf("%s: not valid YAML: %s", origin{document: d}, strings.TrimPrefix(reason, "yaml: "))
}
