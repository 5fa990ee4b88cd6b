package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"k8s.io/apimachinery/pkg/types"
)

// translated is an address of a Service as the Service.
func (s *scene) translated(r endRef, port string) endRef {
	service, byNodePort := s.serviceAt(r.address, port)
	if service == nil {
		return r
	}
	r.kind, r.byNodePort = "Service", byNodePort
	r.NamespacedName = types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
	return r
}

// meantInstead says what may be meant by the name of a pod that does not exist; nil if nothing is near,
// since pods come and go. Without a namespace, APP/TIER reads like one too.
func (s *scene) meantInstead(r endRef, namespace string) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%s: there is no pod %s: %s", r.text, r.NamespacedName, fmt.Sprintf(format, args...))
	}
	if app, tier, found := strings.Cut(r.text, "/"); found && !strings.Contains(tier, "/") {
		for _, a := range appTiers(s.objects()) {
			switch {
			case a.Name != app:
			case slices.Contains(tierNames(a.AppTier), tier):
				return wrong("AppTier %s in namespace %s has such a tier: did you mean -n %s?", app, a.Namespace, a.Namespace)
			case nearest(tier, tierNames(a.AppTier)) != "" && a.Namespace == namespace:
				return wrong("did you mean %s/%s?", app, nearest(tier, tierNames(a.AppTier)))
			case nearest(tier, tierNames(a.AppTier)) != "":
				return wrong("did you mean %s/%s, with -n %s?", app, nearest(tier, tierNames(a.AppTier)), a.Namespace)
			}
		}
	}
	var here, elsewhere []string
	for _, o := range s.objects() {
		kind, name, _ := strings.Cut(o.name, " ")
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
	switch near := nearest(r.Name, here); {
	case len(elsewhere) > 0:
		return wrong("did you mean %s?", slices.Min(elsewhere))
	case near != "":
		return wrong("did you mean %s/%s?", r.Namespace, near)
	case strings.Contains(r.text, ".") && !strings.Contains(r.text, "/"):
		return wrong("policies know no names of hosts: give an address")
	}
	return nil
}

// nearName is what may be meant by the name of an object that is not there.
func (s *scene) nearName(kind string, key types.NamespacedName) string {
	var here []string
	for _, o := range s.objects() {
		in, name, _ := strings.Cut(strings.TrimPrefix(o.name, kind+" "), "/")
		switch {
		case !strings.HasPrefix(o.name, kind+" "):
		case name == key.Name:
			return fmt.Sprintf(": did you mean %s/%s/%s?", in, strings.ToLower(kind), name)
		case in == key.Namespace:
			here = append(here, name)
		}
	}
	if near := nearest(key.Name, here); near != "" {
		return fmt.Sprintf(": did you mean %s?", near)
	}
	return ""
}

// nearest is the candidate that is at most two edits away, and no more than a third of the letters.
func nearest(name string, candidates []string) string {
	best, distance := "", min(2, len(name)/3)+1
	for _, candidate := range slices.Sorted(slices.Values(candidates)) {
		if d := levenshtein.ComputeDistance(name, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	return best
}
