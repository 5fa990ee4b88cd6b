package check

import "strings"

// Path is where a field stands in an object, as in spec.tiers[0].name: what a field.Path prints.
type Path string

// Within says whether the field is another, or in it.
func (p Path) Within(other Path) bool {
	rest, found := strings.CutPrefix(string(p), string(other))
	return found && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
