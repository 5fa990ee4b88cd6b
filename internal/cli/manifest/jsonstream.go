package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	k8sjson "sigs.k8s.io/json"
	yamlv3 "sigs.k8s.io/kustomize/kyaml/yaml"
)

// splitJSON parts a text that is JSON into its values, which may follow each other without any mark
// between them, as kubectl get -o json of several objects and jq write them. Like kubectl, it takes a
// text for JSON that starts with a brace and can be read as JSON (k8s.io/apimachinery/pkg/util/yaml,
// YAMLOrJSONDecoder); any other text, and what follows the last value, is one document.
func splitJSON(text []byte) []Document {
	var documents []Document
	rest, line := text, 0
	for {
		content := withoutComments(rest)
		if !bytes.HasPrefix(content, []byte("{")) {
			break
		}
		decoder := json.NewDecoder(bytes.NewReader(content))
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			break // flow style, or an error, which reading it as YAML names with its line
		}
		line += bytes.Count(rest[:len(rest)-len(content)], []byte("\n"))
		// Tabs are space in JSON, but not everywhere in YAML, by which lines are found; within strings
		// JSON has none.
		value = bytes.ReplaceAll(value, []byte("\t"), []byte(" "))
		documents = append(documents, Document{text: value, isJSON: true, linesBefore: line})
		end := int(decoder.InputOffset())
		line += bytes.Count(content[:end], []byte("\n"))
		rest = content[end:]
	}
	return append(documents, Document{text: rest, linesBefore: line})
}

// withoutComments leaves out the marker, space and comments that a text starts with.
func withoutComments(text []byte) []byte {
	text = withoutMarker(text)
	for {
		text = bytes.TrimLeft(text, " \t\r\n")
		if !bytes.HasPrefix(text, []byte("#")) {
			return text
		}
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
}

// checkJSON refuses keys that are given twice.
func (d Document) checkJSON() error {
	var value any
	problems, err := k8sjson.UnmarshalStrict(d.text, &value)
	if err = errors.Join(append(problems, err)...); err != nil {
		return &Problem{origin: Origin{Document: d}, what: "not valid JSON: " + err.Error()}
	}
	return nil
}

// checkEnd refuses a second document that no marker announces, which may follow one in flow style: who
// converts YAML takes the first document only.
func (d Document) checkEnd() error {
	if !bytes.HasPrefix(withoutComments(d.text), []byte("{")) {
		return nil
	}
	decoder := yamlv3.NewDecoder(bytes.NewReader(d.text))
	var first, second yamlv3.Node
	if follows := decoder.Decode(&first) == nil && !errors.Is(decoder.Decode(&second), io.EOF); !follows {
		return nil
	}
	return &Problem{origin: Origin{Document: d}, what: "more follows the document", fix: "write --- between the two"}
}
