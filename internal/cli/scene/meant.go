package scene

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"k8s.io/apimachinery/pkg/types"
)

// Translated is an address of a Service as the Service.
func (s *Scene) Translated(r EndRef, port string) EndRef {
	service, byNodePort := s.serviceAt(r.Address, port)
	if service == nil {
		return r
	}
	r.Kind, r.ByNodePort = "Service", byNodePort
	r.NamespacedName = types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
	return r
}

// meantInstead says what may be meant by the name of a pod that does not exist; nil if nothing is near,
// since pods come and go. Without a namespace, APP/TIER reads like one too.
func (s *Scene) meantInstead(r EndRef, namespace string) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%s: there is no pod %s: %s", r.Text, r.NamespacedName, fmt.Sprintf(format, args...))
	}
	if app, tier, found := strings.Cut(r.Text, "/"); found && !strings.Contains(tier, "/") {
		for _, a := range AppTiers(s.Objects()) {
			switch {
			case a.Name != app:
			case slices.Contains(tierNames(a.AppTier), tier):
				return wrong("AppTier %s in namespace %s has such a tier: did you mean -n %s?", app, a.Namespace, a.Namespace)
			case Nearest(tier, tierNames(a.AppTier)) != "" && a.Namespace == namespace:
				return wrong("did you mean %s/%s?", app, Nearest(tier, tierNames(a.AppTier)))
			case Nearest(tier, tierNames(a.AppTier)) != "":
				return wrong("did you mean %s/%s, with -n %s?", app, Nearest(tier, tierNames(a.AppTier)), a.Namespace)
			}
		}
	}
	var here, elsewhere []string
	for _, o := range s.Objects() {
		kind, name, _ := strings.Cut(o.Name, " ")
		in, name, _ := strings.Cut(name, "/")
		kind = strings.ToLower(kind)
		switch {
		case kind == "apptier" || kind == "networkpolicy" || endKinds[kind] == "":
		case name == r.Name && kind != "pod":
			return wrong("did you mean %s/%s/%s?", in, kind, name)
		case name == r.Name:
			elsewhere = append(elsewhere, in+"/"+name)
		case in == r.Namespace && kind == "pod":
			here = append(here, name)
		}
	}
	switch near := Nearest(r.Name, here); {
	case len(elsewhere) > 0:
		return wrong("did you mean %s?", slices.Min(elsewhere))
	case near != "":
		return wrong("did you mean %s/%s?", r.Namespace, near)
	case strings.Contains(r.Text, ".") && !strings.Contains(r.Text, "/"):
		return wrong("policies know no names of hosts: give an address")
	}
	return nil
}

// nearName is what may be meant by the name of an object that is not there.
func (s *Scene) nearName(kind string, key types.NamespacedName) string {
	var here []string
	for _, o := range s.Objects() {
		in, name, _ := strings.Cut(strings.TrimPrefix(o.Name, kind+" "), "/")
		switch {
		case !strings.HasPrefix(o.Name, kind+" "):
		case name == key.Name:
			return fmt.Sprintf(": did you mean %s/%s/%s?", in, strings.ToLower(kind), name)
		case in == key.Namespace:
			here = append(here, name)
		}
	}
	if near := Nearest(key.Name, here); near != "" {
		return fmt.Sprintf(": did you mean %s?", near)
	}
	return ""
}

// Nearest is the candidate that is at most two edits away, and no more than a third of the letters.
func Nearest(name string, candidates []string) string {
	best, distance := "", min(2, len(name)/3)+1
	for _, candidate := range slices.Sorted(slices.Values(candidates)) {
		if d := levenshtein.ComputeDistance(name, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	return best
}
