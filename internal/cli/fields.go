package cli

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
	if distance(nearest) <= 2 {
		return fmt.Sprintf(": did you mean %s?", nearest)
	}
	return ": the fields here are " + strings.Join(names, ", ")
}

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
