package compile_test

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gotest.tools/v3/golden"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"pgregory.net/rapid"
	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// Each testdata/name.yaml compiles, for the node "node-0", to testdata/name.nft.
func TestGolden(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, input := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".yaml"), func(t *testing.T) {
			ruleset := compile.Compile(readSnapshot(t, input), "node-0")
			var problems strings.Builder
			for _, p := range ruleset.Problems {
				problems.WriteString("# " + p.Error() + "\n")
			}
			golden.Assert(t, problems.String()+ruleset.Table(1).String(), strings.TrimSuffix(filepath.Base(input), ".yaml")+".nft")
		})
	}
}

func readSnapshot(t *testing.T, file string) reach.Snapshot {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s reach.Snapshot
	decoder := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := decoder.Read()
		if err != nil {
			return s
		}
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v\n%s", file, err, document)
		}
		add(t, &s, object)
	}
}

func add(t *testing.T, s *reach.Snapshot, object runtime.Object) {
	t.Helper()
	switch o := object.(type) {
	case *corev1.Pod:
		s.Pods = append(s.Pods, o)
	case *corev1.Namespace:
		s.Namespaces = append(s.Namespaces, o)
	case *corev1.Node:
		s.Nodes = append(s.Nodes, o)
	case *networkingv1.NetworkPolicy:
		s.Policies = append(s.Policies, o)
	default:
		t.Fatalf("unexpected %T", object)
	}
}

// What people ask a node about: who is under which policies, whom a selector selects, by name.
func TestADumpNamesPods(t *testing.T) {
	dump := compile.Compile(readSnapshot(t, "testdata/shop.yaml"), "node-0").Dump()
	group := slices.IndexFunc(dump.Groups, func(g compile.Group) bool {
		return g.Direction == compile.Ingress && slices.Contains(g.Policies, "shop/web")
	})
	if group < 0 || !slices.Equal(dump.Groups[group].Pods, []string{"shop/web-0"}) {
		t.Errorf("groups: %+v", dump.Groups)
	}
	set := slices.IndexFunc(dump.Sets, func(s compile.Set) bool { return s.Meaning == "namespace shop pods app=api" })
	want := []compile.Member{{Value: "10.244.0.3", Pod: "shop/api-0"}, {Value: "10.244.1.3", Pod: "shop/api-1"}}
	if set < 0 || !slices.Equal(dump.Sets[set].Members, want) {
		t.Errorf("sets: %+v", dump.Sets)
	}
	named := slices.IndexFunc(dump.Sets, func(s compile.Set) bool { return s.Meaning == "port http/tcp of pods of this node" })
	if named < 0 || dump.Sets[named].Members[0].String() != "10.244.0.2 . 8080 (shop/web-0)" {
		t.Errorf("sets: %+v", dump.Sets)
	}
}

// The state depends on the objects alone, not on the order in which they come.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot(reachtest.Disputed()).Draw(t, "snapshot")
		shuffled := reach.Snapshot{
			Namespaces: rapid.Permutation(s.Namespaces).Draw(t, "namespaces"),
			Pods:       rapid.Permutation(s.Pods).Draw(t, "pods"),
			Policies:   rapid.Permutation(s.Policies).Draw(t, "policies"),
			Nodes:      rapid.Permutation(s.Nodes).Draw(t, "nodes"),
		}
		a, b := compile.Compile(s, "node-0").Table(1), compile.Compile(shuffled, "node-0").Table(1)
		if diff := cmp.Diff(a, b); diff != "" {
			t.Fatal(diff)
		}
	})
}

// What compiling needs of nftables: every name defined, and no reserved word for a chain.
func TestRulesAreSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := compile.Compile(reachtest.Snapshot(reachtest.Disputed()).Draw(t, "snapshot"), "node-0").Table(1)
		for name, chain := range table.Chains {
			if slices.Contains([]string{"fwd", "policy"}, name) {
				t.Fatalf("chain %s is a keyword of nft", name)
			}
			for _, rule := range chain.Rules {
				checkRule(t, table, name, rule)
			}
		}
	})
}

func checkRule(t *rapid.T, table nft.Table, chain string, rule nft.Rule) {
	for _, e := range rule.Exprs {
		switch e := e.(type) {
		case expr.Lookup:
			if _, defined := table.Sets[e.Set]; !defined {
				t.Fatalf("chain %s: no set %s", chain, e.Set)
			}
		case expr.Verdict:
			if _, defined := table.Chains[e.Chain]; e.Chain != "" && !defined {
				t.Fatalf("chain %s: no chain %s", chain, e.Chain)
			}
		}
	}
}

// A pod that comes or goes changes elements, never rules or definitions, as long as its group has
// other members.
func TestPodsTouchElementsOnly(t *testing.T) {
	s := readSnapshot(t, "testdata/shop.yaml")
	before := compile.Compile(s, "node-0").Table(1)
	another := s.Pods[0].DeepCopy()
	another.Name, another.Status.PodIP, another.Status.PodIPs = "another", "10.244.0.200", nil
	s.Pods = append(s.Pods, another)
	after := compile.Compile(s, "node-0").Table(1)
	for _, op := range nft.Diff(before, after) {
		if _, ok := op.Object.(*knftables.Element); !ok {
			t.Errorf("%s %T %+v", op.Verb, op.Object, op.Object)
		}
	}
}

// Peers that are looked up as one are still told one by one.
func TestADumpNamesTheSelectorsOfAUnion(t *testing.T) {
	dump := compile.Compile(readSnapshot(t, "testdata/crowd.yaml"), "node-0").Dump()
	union := slices.IndexFunc(dump.Sets, func(s compile.Set) bool { return strings.HasPrefix(s.Name, "union4-") })
	if union < 0 {
		t.Fatalf("no union: %+v", dump.Sets)
	}
	s := dump.Sets[union]
	if len(s.Selectors) != 10 || s.Selectors[0] != "namespace shop pods peer=0" {
		t.Errorf("selectors: %q", s.Selectors)
	}
	if want := []compile.Member{{Value: "10.244.1.2", Pod: "shop/peer-0"}}; !slices.Equal(s.Members, want) {
		t.Errorf("members: %v", s.Members)
	}
}
