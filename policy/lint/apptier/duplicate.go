package apptier

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/policy/lint/check"
)

// Duplicate reports where two things have the same name.
var Duplicate = register(check.Check{
	ID: "duplicate", Severity: check.Reject, About: check.OfAppTiers,
	Title: "Two things with the same name",
	Text:  `Rules refer to tiers and ports by name, so each name must be unique.`,
})

func checkOnce[T comparable](r *check.Report, path *field.Path, list []T) {
	seen := map[T]int{}
	for i, item := range list {
		if first, found := seen[item]; found {
			r.Find(Duplicate, path.Index(i), "remove one of them", "%v is in %s as well", item, path.Index(first))
			continue
		}
		seen[item] = i
	}
}

// checkDuplicates refuses a second thing of the same name; things without a name are not compared.
func checkDuplicates[T any](r *check.Report, path *field.Path, things []T, name func(T) string) {
	seen := map[string]int{}
	for i, thing := range things {
		first, found := seen[name(thing)]
		if !found {
			seen[name(thing)] = i
		} else if name(thing) != "" {
			r.Find(Duplicate, path.Index(i).Child("name"), "give each a name of its own, or merge them",
				"the name %q is already used by %s", name(thing), path.Index(first))
		}
	}
}
