package assertion_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/internal/cli/assertion"
)

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	compiled, err := jsonschema.NewCompiler().Compile("connection-test.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// The schema that editors use takes what the command takes.
func TestTheSchemaTakesWhatIsRight(t *testing.T) {
	of := schema(t)
	for _, test := range []struct {
		text  string
		right bool
	}{
		{`{from: shop/web, to: service/db, expect: allow}`, true},
		{`{name: several, from: [shop/web, internet], to: [service/db], ports: [443, 443/TCP, 8000-8010, http], expect: deny}`, true},
		{`{to: service/db, onlyFrom: shop/web}`, true},
		{`{to: service/db, onlyFrom: []}`, true},
		{`{to: service/db, from: shop/web}`, false},
		{`{from: shop/web, expect: allow}`, false},
		{`{from: shop/web, to: service/db, expect: maybe}`, false},
		{`{from: shop/web, to: service/db, onlyFrom: []}`, false},
		{`{from: shop/web, to: service/db, expect: allow, onlyFrom: []}`, false},
	} {
		text := "apiVersion: test.apptier.dev/v1alpha1\nkind: ConnectionTest\nmetadata: {name: t}\ncases:\n- " + test.text + "\n"
		asJSON, err := yaml.YAMLToJSONStrict([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(string(asJSON)))
		if err != nil {
			t.Fatal(err)
		}
		if err := of.Validate(instance); (err == nil) != test.right {
			t.Errorf("%s: the schema says %v", test.text, err)
		}
		var read assertion.ConnectionTest
		if err := yaml.UnmarshalStrict([]byte(text), &read); err != nil {
			t.Fatal(err)
		}
		if problems := read.Cases[0].Check("cases[0]"); (len(problems) == 0) != test.right {
			t.Errorf("%s: the command says %v", test.text, problems)
		}
	}
}

// A field of the format is in the schema, and one of the schema in the format.
func TestTheSchemaHasEveryField(t *testing.T) {
	text, err := os.ReadFile("connection-test.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var of struct {
		Defs map[string]struct{ Properties map[string]any } `json:"$defs"`
	}
	if err := json.Unmarshal(text, &of); err != nil {
		t.Fatal(err)
	}
	full, err := json.Marshal(assertion.Case{Name: "n", From: assertion.Ends{"a"}, To: assertion.Ends{"b"}, Ports: []assertion.Port{"1"}, Expect: assertion.Deny, OnlyFrom: &assertion.Ends{}})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(full, &fields); err != nil {
		t.Fatal(err)
	}
	properties := of.Defs["case"].Properties
	for name := range fields {
		if _, found := properties[name]; !found {
			t.Errorf("%s is not in the schema", name)
		}
	}
	if len(properties) != len(fields) {
		t.Errorf("the schema has %d fields, and the format %d", len(properties), len(fields))
	}
}

// A port is written in the ways that people know.
func TestPorts(t *testing.T) {
	for text, want := range map[assertion.Port]assertion.Span{
		"443":       {First: 443, Last: 443},
		"443/tcp":   {First: 443, Last: 443, Protocol: "TCP"},
		"53/UDP":    {First: 53, Last: 53, Protocol: "UDP"},
		"8000-8010": {First: 8000, Last: 8010},
		"1-65535":   {First: 1, Last: 65535},
		"http":      {Name: "http"},
		"http-alt":  {Name: "http-alt"},
		"dns/UDP":   {Name: "dns", Protocol: "UDP"},
		"0":         {},
		"65536":     {},
		"90-80":     {},
		"80/GRE":    {},
		"-":         {},
		"":          {},
	} {
		got, err := text.Span()
		if (err != nil) != (want == assertion.Span{}) || err == nil && got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

// A copy shares nothing with what it is of.
func TestACopyIsApart(t *testing.T) {
	of := &assertion.ConnectionTest{Cases: []assertion.Case{{To: assertion.Ends{"a"}, OnlyFrom: &assertion.Ends{"b"}}}}
	other := of.DeepCopyObject().(*assertion.ConnectionTest)
	other.Cases[0].To[0], (*other.Cases[0].OnlyFrom)[0] = "x", "y"
	if of.Cases[0].To[0] != "a" || (*of.Cases[0].OnlyFrom)[0] != "b" {
		t.Errorf("changed: %+v", of.Cases[0])
	}
}
