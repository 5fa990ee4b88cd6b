package manifest

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"sync"

	yamlv3 "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/yaml"
)

// Document is one YAML document, or the one JSON value of a file.
type Document struct {
	// file is what people know the input by.
	File string
	// number counts the documents of the file from 1; 0 when there is no file.
	Number int
	// linesBefore is how many lines of the file precede the text.
	linesBefore int
	text        []byte
	// isJSON is set when the text is JSON, and not only YAML.
	isJSON bool
	// built is set when the text was made by a tool: its lines are not lines that anyone wrote.
	Built bool
	// from is what of a built document somebody wrote, if that is known.
	From *Origin
	// writtenName is what that was called.
	WrittenName string
	// among is set when the file is one of a folder, where not every file is a manifest.
	among bool
	// patchOf is the kustomization that has the file for a patch, or for something else that is no
	// manifest; empty for none.
	patchOf string
	// root returns what knows the lines of the text, nil if there is nothing. It is asked for every
	// finding, and parses but once; of a built document, nobody may ask.
	root func() *yamlv3.Node
}

// Split returns the documents of a text. YAML allows "---" and "..." at the start of a line
// nowhere but around documents, so looking for these is enough. A reader that takes the first
// document and drops the rest, as YAML libraries do by default, would drop policies.
func Split(file string, text []byte) []Document {
	var documents []Document
	var current []byte
	start := 0 // the line that current starts on, from 0
	flush := func(nextLine int) {
		for _, d := range splitJSON(current) {
			if isBlank(d.text) {
				continue
			}
			d.File, d.Number, d.linesBefore = file, len(documents)+1, d.linesBefore+start
			d.root = sync.OnceValue(func() *yamlv3.Node { return rootOf(d.text) })
			documents = append(documents, d)
		}
		current, start = nil, nextLine
	}
	line := 0
	for content := range bytes.Lines(text) {
		// A byte-order mark may be at the start of each document (YAML 1.2, 5.2): files are joined.
		if unmarked, found := bytes.CutPrefix(content, []byte("\ufeff")); found &&
			(isMarker(unmarked, "---") || isBlank(withoutMarker(current))) {
			content = unmarked
		}
		switch {
		case isMarker(content, "---"):
			flush(line)
			current = append(current, content...)
		case isMarker(content, "..."):
			flush(line + 1)
		default:
			current = append(current, content...)
		}
		line++
	}
	flush(line)
	return documents
}

// withoutMarker is a text without the marker that it may start with.
func withoutMarker(text []byte) []byte {
	if isMarker(text, "---") {
		return text[len("---"):]
	}
	return text
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
func (d Document) json() ([]byte, error) {
	if d.isJSON {
		return d.text, d.checkJSON()
	}
	text, err := yaml.YAMLToJSONStrict(d.text)
	if err == nil {
		return text, d.checkEnd()
	}
	if d.linesBefore > 0 && !d.Built {
		// The library counts lines from the start of what it is given: give it those before too.
		padded := append(bytes.Repeat([]byte("\n"), d.linesBefore), d.text...)
		if _, paddedErr := yaml.YAMLToJSONStrict(padded); paddedErr != nil {
			err = paddedErr
		}
	}
	return nil, d.unreadable(err)
}

// unreadable is what is wrong with a document that is no YAML.
func (d Document) unreadable(err error) *Problem {
	at := Origin{Document: d}
	if line := placeholderLine(d.text); line > 0 {
		if d.linesBefore += line; d.Built {
			d.linesBefore = 0
		}
		return &Problem{origin: at, line: d.linesBefore, what: unrendered, fix: renderFix}
	}
	reason := strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "yaml: ") // it may be a list over several lines
	p := &Problem{origin: at, what: "not valid YAML: " + reason}
	if found := yamlLine.FindStringSubmatch(reason); found != nil && !d.Built {
		p.line, _ = strconv.Atoi(found[1]) // only digits match
	}
	return p
}

// yamlLine is where the library names the line of the file.
var yamlLine = regexp.MustCompile(`\bline (\d+):`)
