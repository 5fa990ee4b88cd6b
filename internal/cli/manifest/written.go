package manifest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// asKubernetesReads returns an object as the API server reads it, where its Go type would not show that:
// a NetworkPolicy's status, which clusters of 1.24 to 1.27 write, is dropped (KEP-2943 was withdrawn), and
// peers that are there with nothing in them are the empty list that they mean.
func asKubernetesReads(gvk schema.GroupVersionKind, text []byte) []byte {
	if gvk.Group != networkingv1.GroupName || gvk.Kind != "NetworkPolicy" ||
		!bytes.Contains(text, []byte(`"status"`)) && !bytes.Contains(text, []byte("null")) {
		return text
	}
	var policy map[string]any
	if utiljson.Unmarshal(text, &policy) != nil {
		return text
	}
	delete(policy, "status")
	spec, _ := policy["spec"].(map[string]any)
	for direction, peers := range map[string]string{"ingress": "from", "egress": "to"} {
		rules, _ := spec[direction].([]any)
		for _, r := range rules {
			rule, _ := r.(map[string]any)
			if value, found := rule[peers]; found && value == nil {
				rule[peers] = []any{}
			}
		}
	}
	read, err := json.Marshal(policy)
	if err != nil {
		return text
	}
	return read
}

const (
	unrendered = "an unrendered template: it is not the object yet"
	renderFix  = "render it first: helm template RELEASE CHART | kubectl apptier lint -f -"
)

// placeholderLine is the line of a text, from 1, that the first placeholder of a template is on; 0 for none.
func placeholderLine(text []byte) int {
	before, _, found := bytes.Cut(text, []byte("{{"))
	if !found || !bytes.Contains(text, []byte("}}")) {
		return 0
	}
	return bytes.Count(before, []byte("\n")) + 1
}

// refusePlaceholders reports an object that is a template: what its placeholders will be, nobody knows.
// Annotations may hold them for good.
func (d *Decoder) refusePlaceholders(from Origin, gvk schema.GroupVersionKind, text []byte) bool {
	var object struct {
		Metadata struct {
			Name, Namespace string
			Labels          map[string]any
		}
		Spec any
	}
	if !bytes.Contains(text, []byte("{{")) && !bytes.Contains(text, []byte("${")) || json.Unmarshal(text, &object) != nil {
		return false
	}
	path, found := placeholderAt("metadata.name", object.Metadata.Name)
	for _, part := range []struct {
		path  string
		value any
	}{{"metadata.namespace", object.Metadata.Namespace}, {"metadata.labels", object.Metadata.Labels}, {"spec", object.Spec}} {
		if !found {
			path, found = placeholderAt(part.path, part.value)
		}
	}
	if found {
		d.Problems = append(d.Problems, &Problem{origin: from, path: path, who: nameIn(gvk.Kind, text), what: unrendered, fix: renderFix})
	}
	return found
}

// placeholderAt returns the path of the first string in a value that is a placeholder.
func placeholderAt(path string, value any) (string, bool) {
	switch of := value.(type) {
	case string:
		return path, isPlaceholder(of)
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(of)) {
			if at, found := placeholderAt(childPath(path, key), of[key]); found || isPlaceholder(key) {
				return at, true
			}
		}
	case []any:
		for i, item := range of {
			if at, found := placeholderAt(indexPath(path, i), item); found {
				return at, true
			}
		}
	}
	return path, false
}

func isPlaceholder(text string) bool {
	for _, marks := range [][2]string{{"{{", "}}"}, {"${", "}"}} {
		if _, after, found := strings.Cut(text, marks[0]); found && strings.Contains(after, marks[1]) {
			return true
		}
	}
	return false
}
