package prove

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/enforcer/agent/agenttest"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
	"github.com/apptier/apptier/enforcer/nft/interpret"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

func compiled(t *rapid.T, snapshot reach.Snapshot) nft.Table {
	c := compile.New(agenttest.Node)
	c.MergeAbove(rapid.SampledFrom([]int{0, 1, 4}).Draw(t, "merge above"))
	c.Tell(snapshot)
	return c.Ruleset().Table(1)
}

// A ruleset allows exactly what the policies do, whatever the objects are, however rules are merged.
func TestTheRulesetIsThePolicies(t *testing.T) {
	worlds, connections, unknown := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		snapshot := reachtest.Snapshot(reachtest.Disputed()).Draw(t, "snapshot")
		report, err := Table(context.Background(), compiled(t, snapshot), compile.ForwardChain, snapshot, agenttest.Node)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range report.Differences {
			t.Errorf("%s", d)
		}
		worlds, connections, unknown = worlds+1, connections+report.Connections, unknown+report.Unknown
	})
	t.Logf("%d worlds, %d connections, of which the policies do not tell %d", worlds, connections, unknown)
	if unknown > connections/10 {
		t.Errorf("the policies do not tell %d of %d", unknown, connections)
	}
}

// staged has some of the policies staged, and some of those stand for one that allows everything.
func staged(t *rapid.T, snapshot reach.Snapshot) reach.Snapshot {
	policies := snapshot.Policies
	snapshot.Policies = nil
	for _, policy := range policies {
		switch rapid.SampledFrom([]string{"enforced", "staged", "replaces"}).Draw(t, policy.Namespace+"/"+policy.Name) {
		case "replaces":
			open := policy.DeepCopy()
			open.Spec.Ingress, open.Spec.Egress = []networkingv1.NetworkPolicyIngressRule{{}}, []networkingv1.NetworkPolicyEgressRule{{}}
			snapshot.Policies = append(snapshot.Policies, open)
			fallthrough
		case "staged":
			snapshot.Staged = append(snapshot.Staged, policy)
		default:
			snapshot.Policies = append(snapshot.Policies, policy)
		}
	}
	return snapshot
}

// Staged policies deny nothing, and exactly what they would deny is counted.
func TestTheRulesetCountsWhatStagedPoliciesWouldDeny(t *testing.T) {
	connections, denied := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		snapshot := staged(t, reachtest.Snapshot(reachtest.Disputed()).Draw(t, "snapshot"))
		table := compiled(t, snapshot)
		report, err := Table(context.Background(), table, compile.ForwardChain, snapshot, agenttest.Node)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range report.Differences {
			t.Errorf("%s", d)
		}
		connections += report.Connections
		for _, audits := range []string{"staged-egress4", "staged-ingress4"} {
			denied += len(table.Sets[audits].Elements)
		}
	})
	t.Logf("%d connections, %d pods with staged policies", connections, denied)
	if !testing.Short() && denied == 0 {
		t.Error("no pod has staged policies")
	}
}

// The same goes for what a compiler has come to by one change after another.
func TestAHistoryIsThePolicies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := compile.New(agenttest.Node)
		c.MergeAbove(rapid.SampledFrom([]int{0, 1, 8}).Draw(t, "merge above"))
		world := agenttest.NewStagedWorld(c)
		compare := func(t *rapid.T) {
			report, err := Table(context.Background(), c.Ruleset().Table(1), compile.ForwardChain, world.Snapshot(), agenttest.Node)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range report.Differences {
				t.Errorf("%s", d)
			}
		}
		t.Repeat(map[string]func(*rapid.T){"an object changes": world.Change, "another object changes": world.Change, "compare": compare})
		compare(t)
	})
}

// What is told apart is enough: wherever one address and one port after another shows a difference, the comparison
// of classes does too.
func TestNothingHidesInAClass(t *testing.T) {
	spoilt, found := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		snapshot := reachtest.Snapshot(reachtest.Disputed(), reachtest.MaxPods(5), reachtest.MaxPolicies(4)).Draw(t, "snapshot")
		table := compiled(t, snapshot)
		spoil(t, table)
		report, err := Table(context.Background(), table, compile.ForwardChain, snapshot, agenttest.Node)
		if err != nil {
			t.Fatal(err)
		}
		spoilt++
		if len(report.Differences) > 0 {
			found++
			return
		}
		if d := oneByOne(t, table, snapshot); d != "" {
			t.Fatalf("not found: %s\n%s", d, table)
		}
	})
	t.Logf("%d of %d spoilt rulesets differ from the policies", found, spoilt)
	if found < spoilt/10 {
		t.Errorf("%d of %d spoilt rulesets differ from the policies", found, spoilt)
	}
}

// spoil changes something of a table that decides about connections.
func spoil(t *rapid.T, table nft.Table) {
	judged := slices.DeleteFunc(slices.Sorted(maps.Keys(table.Chains)), func(name string) bool { return len(table.Chains[name].Rules) == 0 })
	var filled []string
	for _, name := range slices.Sorted(maps.Keys(table.Sets)) {
		if len(table.Sets[name].Elements) > 0 {
			filled = append(filled, name)
		}
	}
	switch kind := rapid.IntRange(0, 3).Draw(t, "what is spoilt"); kind {
	case 0, 1:
		set := table.Sets[rapid.SampledFrom(filled).Draw(t, "set")]
		key := rapid.SampledFrom(slices.Sorted(maps.Keys(set.Elements))).Draw(t, "element")
		if kind == 0 || set.Value == "" {
			delete(set.Elements, key)
		} else {
			set.Elements[key] = nft.Element{Value: expr.GoTo("admit").String()}
		}
	case 2:
		name := rapid.SampledFrom(judged).Draw(t, "chain")
		chain := table.Chains[name]
		i := rapid.IntRange(0, len(chain.Rules)-1).Draw(t, "rule")
		chain.Rules = slices.Delete(slices.Clone(chain.Rules), i, i+1)
		table.Chains[name] = chain
	default:
		name := rapid.SampledFrom(judged).Draw(t, "chain")
		chain := table.Chains[name]
		address := expr.Address{Field: expr.OriginalSource4, Address: netip.MustParseAddr("10.244.0.2")}
		chain.Rules = slices.Insert(slices.Clone(chain.Rules), 0, nft.RuleOf(address, expr.Accept))
		table.Chains[name] = chain
	}
}

// oneByOne asks about every address that there is, and some that are not, at many ports.
func oneByOne(t *rapid.T, table nft.Table, snapshot reach.Snapshot) string {
	rules, err := interpret.New(table)
	if err != nil {
		t.Fatal(err)
	}
	snapshot.Seen = agenttest.Node
	w, policies := worldOf(snapshot, agenttest.Node), reach.New(snapshot)
	addresses := []netip.Addr{netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("10.244.0.200")}
	for a := range w.claimants {
		addresses = append(addresses, a, a.Next(), a.Prev())
	}
	for _, from := range addresses {
		for _, to := range addresses {
			if from.Is4() != to.Is4() || !w.isForwarded(from, to) {
				continue
			}
			for _, port := range []uint16{1, 52, 53, 54, 79, 80, 81, 82, 85, 86, 8080, 8085, 9000, 65535} {
				network := expr.IPv6
				if from.Is4() {
					network = expr.IPv4
				}
				got, err := rules.Run(compile.ForwardChain, interpret.Packet{
					Network: network, Source: from, Destination: to, Protocol: expr.TCP, State: expr.New,
					Initiator: interpret.Socket{Address: from, Port: 1}, Server: interpret.Socket{Address: to, Port: port},
				})
				if err != nil {
					t.Fatal(err)
				}
				want, why := w.expected(policies, reach.Flow{
					Source: reach.Endpoint{Address: from}, Destination: reach.Endpoint{Address: to}, Protocol: corev1.ProtocolTCP, Port: int32(port),
				})
				if want != reach.Unknown && got.Accepted != (want == reach.Allow) {
					return Difference{From: from, To: to, Protocol: corev1.ProtocolTCP, Port: port, LastPort: port, Passes: got.Accepted, Chain: got.Chain, Reason: why}.String()
				}
			}
		}
	}
	return ""
}
