package manifest

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// nearestField says what may have been meant by a field that a type does not have, such as
// spec.tiers[0].ingres, or nothing.
func nearestField(of reflect.Type, path string) string {
	var steps []string
	for part := range strings.SplitSeq(path, ".") {
		steps = append(steps, indices.ReplaceAllString(part, ""))
	}
	for _, step := range steps[:len(steps)-1] {
		of = fieldsOf(of)[step]
	}
	var names []string
	for name := range fieldsOf(of) {
		names = append(names, name)
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	unknown := steps[len(steps)-1]
	distance := func(name string) int {
		return levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(unknown))
	}
	nearest := slices.MinFunc(names, func(a, b string) int { return distance(a) - distance(b) })
	switch translation := translations[unknown]; {
	case distance(nearest) <= 2:
		return fmt.Sprintf("did you mean %s?", nearest)
	case slices.Contains(names, "matchLabels"):
		return "labels go below matchLabels"
	case translation != "" && slices.Contains(names, "kubeAPIServer"): // a peer of an AppTier
		return translation
	case slices.Contains(names, "port") && slices.Contains(namesOfPort, unknown):
		return "write port, with the number that the pods listen on"
	}
	return "the fields here are " + strings.Join(names, ", ")
}

// translations are what a peer of an AppTier calls what others have under these names.
var translations = map[string]string{
	"ipBlock":           "write networks: {cidrs: [10.0.0.0/8]}, with except beside cidrs",
	"cidr":              "write networks: {cidrs: [10.0.0.0/8]}",
	"podSelector":       "write pods: {podSelector: {matchLabels: {app: web}}}, or name the tier with tier",
	"namespaceSelector": "write namespaces: {matchLabels: {...}} for every pod there, or pods: {namespaceSelector, podSelector} for some",
	"fqdn":              "names cannot be matched, since packets carry addresses: write networks: {cidrs: [...]}, or internet: {}",
	"toFQDNs":           "names cannot be matched, since packets carry addresses: write networks: {cidrs: [...]}, or internet: {}",
	"host":              "names cannot be matched, since packets carry addresses: write networks: {cidrs: [...]}, or internet: {}",
	"entities":          "write kubeAPIServer: {}, nodes: {}, internet: {} or everyone: {}",
}

// namesOfPort are what other kinds call the number of a port.
var namesOfPort = []string{"containerPort", "targetPort", "number", "fromPort"}

var indices = regexp.MustCompile(`\[\d+\]`)

// fieldsOf returns the types of the fields of a struct, or of the structs in a list or behind a
// pointer, by their names in JSON. Of anything else, there are none.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice) {
		t = t.Elem()
	}
	fields := map[string]reflect.Type{}
	if t == nil || t.Kind() != reflect.Struct {
		return fields
	}
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "" && field.Anonymous:
			for inner, of := range fieldsOf(field.Type) {
				fields[inner] = of
			}
		case name != "" && name != "-":
			fields[name] = field.Type
		}
	}
	return fields
}
