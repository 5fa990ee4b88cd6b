package apptier_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// full is an AppTier that sets every field of the schema at least once, and is refused by nobody.
const full = `
apiVersion: policy.apptier.dev/v1alpha1
kind: AppTier
metadata: {name: full, namespace: shop}
spec:
  mode: Enforce
  isolation: {scope: Namespace, sameNamespace: Deny}
  dns: {mode: Custom, nodeLocal: Never, to: [{networks: {cidrs: [203.0.113.53/32]}}], ports: [{port: 53, protocol: UDP}]}
  mesh: {provider: Istio, dataPlane: Sidecar}
  everyTier:
    ingress: [{from: [{namespaces: {matchLabels: {a: b}, matchExpressions: [{key: c, operator: Exists}]}}], ports: [{port: 9090, endPort: 9091, protocol: TCP}]}]
    egress: [{to: [{kubeAPIServer: {}}]}]
  tiers:
  - name: web
    podSelector: {matchLabels: {tier: web}, matchExpressions: [{key: old, operator: NotIn, values: ["true"]}]}
    ports: [{name: http, port: 8080, endPort: 8081, protocol: TCP}]
    isolate: [Ingress, Egress]
    ingress:
    - {from: [{internet: {}}, {everyone: {}}, {nodes: {}}, {networks: {cidrs: [203.0.113.0/24], except: [203.0.113.7/32]}}], ports: [{port: http}]}
    - {from: [{pods: {namespaceSelector: {matchLabels: {a: b}}, podSelector: {matchLabels: {c: d}}}}], allPorts: true}
    egress:
    - to: [{appTier: {namespace: back, name: shop, tier: db}}, {service: {namespace: back, name: db}}]
  - name: api
    podSelector: {matchLabels: {tier: api}}
    ingress: [{from: [{tier: web}], ports: [{port: 80}]}]
`

// violation is a value that a schema refuses, with what it does.
type violation struct {
	what  string
	value any
}

// violations are values like one that the schema of a field takes, and that it does not.
func violations(schema map[string]any, value any) []violation {
	var out []violation
	add := func(constraint string, make func(limit int) any) {
		if limit, found := schema[constraint].(float64); found {
			out = append(out, violation{fmt.Sprintf("%s %v", constraint, limit), make(int(limit))})
		}
	}
	number := func(step int) func(int) any { return func(limit int) any { return limit + step } }
	add("minimum", number(-1))
	add("maximum", number(+1))
	add("maxLength", func(limit int) any { return strings.Repeat("a", limit+1) })
	add("minLength", func(int) any { return "" })
	add("minItems", func(int) any { return []any{} })
	add("minProperties", func(int) any { return map[string]any{} })
	add("maxItems", func(limit int) any { return many(value.([]any), limit+1, schema["x-kubernetes-list-type"]) })
	if schema["enum"] != nil {
		out = append(out, violation{"enum", "Nonsense"})
	}
	if list, isList := value.([]any); isList && schema["x-kubernetes-list-type"] == "set" {
		out = append(out, violation{"a set", append(slices.Clone(list), list[0])})
	}
	if of, isObject := value.(map[string]any); isObject {
		for _, required := range asList(schema["required"]) {
			without := maps.Clone(of)
			delete(without, required.(string))
			out = append(out, violation{"required " + required.(string), without})
		}
		if schema["additionalProperties"] == nil {
			out = append(out, violation{"an unknown field", merged(of, map[string]any{"nonsense": 1})})
		}
	}
	return out
}

// many is a list of n items like those of a list, of names or values of their own where that must be.
func many(list []any, n int, kind any) []any {
	out := slices.Clone(list)
	for i := len(out); i < n; i++ {
		switch item := list[0].(type) {
		case map[string]any:
			if kind == "map" {
				name := fmt.Sprint("item-", i)
				item = merged(item, map[string]any{"name": name, "podSelector": map[string]any{"matchLabels": map[string]any{"tier": name}}})
			}
			out = append(out, item)
		default:
			out = append(out, fmt.Sprintf("203.0.%d.%d/32", i/256, i%256))
		}
	}
	return out
}

func merged(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func asList(value any) []any { list, _ := value.([]any); return list }

// eachViolation calls try with a copy of an object for every constraint of its schema, violated once.
func eachViolation(schema map[string]any, value any, path string, try func(what string, object any)) {
	for _, v := range violations(schema, value) {
		try(path+": "+v.what, v.value)
	}
	switch value := value.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if of, found := properties[key].(map[string]any); found && key != "metadata" {
				eachViolation(of, value[key], path+"."+key, func(what string, object any) { try(what, merged(value, map[string]any{key: object})) })
			}
		}
	case []any:
		of, _ := schema["items"].(map[string]any)
		for i := range value {
			eachViolation(of, value[i], fmt.Sprintf("%s[%d]", path, i), func(what string, object any) {
				list := slices.Clone(value)
				list[i] = object
				try(what, list)
			})
		}
	}
}

// What the schema refuses is refused without an API server as well: for each constraint of the schema,
// an AppTier that violates it and no other.
func TestTheSchemaRefusesNoMore(t *testing.T) {
	text, err := os.ReadFile("../../../config/crd/bases/policy.apptier.dev_apptiers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	var object map[string]any
	for _, err := range []error{yaml.Unmarshal(text, &crd), yaml.Unmarshal([]byte(full), &object)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if answer := judge([]byte(full)); answer != "" {
		t.Fatalf("the AppTier is refused as it is: %s", answer)
	}
	count := 0
	eachViolation(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, object, "", func(what string, violated any) {
		text, err := yaml.Marshal(violated)
		if err != nil {
			t.Fatal(err)
		}
		if count++; judge(text) == "" {
			t.Errorf("%s: the schema refuses it, and nothing else does", what)
		}
	})
	if t.Logf("%d violations", count); count < 100 {
		t.Errorf("only %d violations were tried", count)
	}
}
