package suggest_test

import (
	"encoding/json"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/suggest"
)

// scene is the world without the policies that its AppTiers stand for.
type scene struct {
	apps     []*v1alpha1.AppTier
	snapshot reach.Snapshot
}

func (s scene) world() suggest.World {
	env := expand.DefaultEnvironment()
	env.AppTiers = map[types.NamespacedName]*v1alpha1.AppTier{}
	for _, app := range s.apps {
		env.AppTiers[types.NamespacedName{Namespace: app.Namespace, Name: app.Name}] = app
	}
	snapshot := s.snapshot
	snapshot.Policies = slices.Clone(snapshot.Policies)
	for _, app := range s.apps {
		snapshot.Policies = append(snapshot.Policies, expand.NetworkPolicies(app, env)...)
	}
	return suggest.World{Snapshot: snapshot, AppTiers: s.apps, Environment: env}
}

// with adds what is said to add as people would: by the path, from what is printed.
func (s scene) with(t *rapid.T, additions []suggest.Addition) scene {
	out := scene{snapshot: s.snapshot}
	out.snapshot.Policies = slices.Clone(s.snapshot.Policies)
	for _, app := range s.apps {
		text := mustJSON(t, app)
		for _, a := range additions {
			if a.Policy == nil && a.AppTier.Namespace == app.Namespace && a.AppTier.Name == app.Name {
				text = appended(t, text, a)
			}
		}
		var changed v1alpha1.AppTier
		if err := json.Unmarshal(text, &changed); err != nil {
			t.Fatal(err)
		}
		if rejected := check.WithSeverity(lint.AppTier(&changed), check.Reject); len(rejected) > 0 {
			t.Fatalf("with what is to be added it is refused: %v", rejected)
		}
		out.apps = append(out.apps, &changed)
	}
	for _, a := range additions {
		if a.Policy != nil {
			out.snapshot.Policies = append(out.snapshot.Policies, a.Policy)
		}
	}
	return out
}

func mustJSON(t *rapid.T, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// appended appends an item to the list at a path.
func appended(t *rapid.T, text []byte, a suggest.Addition) []byte {
	var object map[string]any
	var item any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(mustJSON(t, a.Item), &item); err != nil {
		t.Fatal(err)
	}
	spec := object["spec"].(map[string]any)
	holder, field := spec, "tiers"
	var index int
	for _, direction := range []string{"ingress", "egress"} {
		for i := range 10 {
			if a.Path == "spec.tiers["+string(rune('0'+i))+"]."+direction {
				index, field = i, direction
				holder = spec["tiers"].([]any)[index].(map[string]any)
			}
		}
	}
	list, exists := holder[field].([]any)
	if exists == a.First {
		t.Fatalf("%s: the list exists: %t, and First is %t", a.Path, exists, a.First)
	}
	holder[field] = append(list, item)
	return mustJSON(t, object)
}
