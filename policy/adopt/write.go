package adopt

import (
	"cmp"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
)

const mostOfRule = 32 // peers, as in the schema

// rule is a rule of either direction.
type rule struct {
	ports ports
	peers []v1alpha1.Peer
	// leaves says that the ports are left to the peers.
	leaves bool
}

// write is the draft as an AppTier.
func (in *Input) write(d *draft) *v1alpha1.AppTier {
	app := &v1alpha1.AppTier{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AppTier"},
		ObjectMeta: metav1.ObjectMeta{Namespace: d.namespace, Name: d.name},
		Spec:       v1alpha1.AppTierSpec{DNS: d.dns, EveryTier: in.everyTier(d)},
	}
	if d.every != nil {
		app.Spec.Isolation.Scope = v1alpha1.ScopeNamespace
	}
	if d.sameNamespace {
		app.Spec.Isolation.SameNamespace = v1alpha1.SameNamespaceAllow
	}
	for _, t := range d.tiers {
		app.Spec.Tiers = append(app.Spec.Tiers, in.writeTier(t))
	}
	return app
}

func (in *Input) writeTier(t *tier) v1alpha1.Tier {
	out := v1alpha1.Tier{Name: t.name, PodSelector: *t.selector}
	switch {
	case t.of.every != nil && !t.of.sameNamespace:
	case !t.isolates[egress]:
		out.Isolate = []v1alpha1.Direction{v1alpha1.Ingress}
	case !t.isolates[ingress]:
		out.Isolate = []v1alpha1.Direction{v1alpha1.Egress}
	}
	rules := in.rulesOf(t, ingress)
	own := ownPorts(rules)
	out.Ports = own.tierPorts()
	slices.SortStableFunc(rules, func(a, b rule) int { return compareRules(a, b, own) })
	for _, r := range rules {
		one := v1alpha1.IngressRule{From: r.peers, AllPorts: r.ports.all}
		if r.ports.key() != own.key() {
			one.Ports = r.ports.rulePorts()
		}
		out.Ingress = append(out.Ingress, one)
	}
	rules = in.rulesOf(t, egress)
	slices.SortStableFunc(rules, func(a, b rule) int { return compareRules(a, b, ports{}) })
	for _, r := range rules {
		one := v1alpha1.EgressRule{To: r.peers}
		if !r.leaves {
			one.AllPorts, one.Ports = r.ports.all, r.ports.rulePorts()
		}
		out.Egress = append(out.Egress, one)
	}
	return out
}

// compareRules puts those first that say no ports, and those for all ports last.
func compareRules(a, b rule, own ports) int {
	rank := func(r rule) int {
		switch {
		case r.leaves || r.ports.key() == own.key():
			return 0
		case r.ports.all:
			return 2
		default:
			return 1
		}
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), slices.CompareFunc(a.ports.written(), b.ports.written(), func(s, t span) int {
		return cmp.Or(cmp.Compare(s.first, t.first), cmp.Compare(s.last, t.last), cmp.Compare(s.saidProtocol(), t.saidProtocol()))
	}))
}

// ownPorts are the ports that the tier declares, so that rules need not: those of the rule with the most peers.
func ownPorts(rules []rule) ports {
	var own ports
	most := 0
	for _, r := range rules {
		if len(r.peers) > most && !r.ports.all && len(r.ports.written()) <= mostOfRule {
			own, most = r.ports, len(r.peers)
		}
	}
	return own
}

// rulesOf are what a tier declares in a direction: one rule for all peers of the same ports.
func (in *Input) rulesOf(t *tier, direction networkingv1.PolicyType) []rule {
	var out []rule
	find := func(on ports) *rule {
		i := slices.IndexFunc(out, func(r rule) bool { return !r.leaves && r.ports.key() == on.key() })
		if i < 0 {
			i = len(out)
			out = append(out, rule{ports: on})
		}
		return &out[i]
	}
	if direction == ingress {
		for _, from := range t.fromTiers {
			r := find(from.ports)
			r.peers = append(r.peers, v1alpha1.Peer{Tier: &from.name})
		}
	}
	for _, with := range t.agreed[direction] {
		reference := &v1alpha1.AppTierReference{Name: with.of.name, Tier: with.name}
		if with.namespace != t.namespace {
			reference.Namespace = with.namespace
		}
		if direction == ingress {
			r := find(with.ports)
			r.peers = append(r.peers, v1alpha1.Peer{AppTier: reference})
			continue
		}
		if len(out) == 0 {
			out = append(out, rule{leaves: true})
		}
		out[0].peers = append(out[0].peers, v1alpha1.Peer{AppTier: reference})
	}
	var byPorts []ports
	members := map[string][]allowance{}
	for _, one := range t.left[direction].sorted() {
		key := one.ports.key()
		if len(members[key]) == 0 {
			byPorts = append(byPorts, one.ports)
		}
		members[key] = append(members[key], one)
	}
	for _, on := range byPorts {
		r := find(on)
		r.peers = append(r.peers, in.declaredAll(t.namespace, members[on.key()])...)
	}
	return inChunks(out)
}

// inChunks writes what is too long for one rule as several.
func inChunks(rules []rule) []rule {
	var out []rule
	for _, r := range rules {
		for peers := range slices.Chunk(r.peers, mostOfRule) {
			out = append(out, rule{ports: r.ports, peers: peers, leaves: r.leaves})
		}
	}
	return out
}

// declaredAll are peers as an AppTier has them: pods first, then namespaces, then addresses.
func (in *Input) declaredAll(namespace string, of []allowance) []v1alpha1.Peer {
	var pods, namespaces, rest []v1alpha1.Peer
	var blocks []*networkingv1.IPBlock
	for _, one := range of {
		switch declared := one.peer.declared(namespace); {
		case one.peer.block != nil:
			blocks = append(blocks, one.peer.block)
		case declared.Pods != nil:
			pods = append(pods, declared)
		case declared.Namespaces != nil:
			namespaces = append(namespaces, declared)
		default:
			rest = append(rest, declared)
		}
	}
	return slices.Concat(pods, namespaces, in.networks(blocks), rest)
}

// networks are blocks as few peers. An exception holds for all ranges of a peer that it lies in, so that only such
// blocks are in one that no exception of another touches.
func (in *Input) networks(blocks []*networkingv1.IPBlock) []v1alpha1.Peer {
	var groups [][]*networkingv1.IPBlock
	for _, block := range blocks {
		fits := func(group []*networkingv1.IPBlock) bool {
			return !slices.ContainsFunc(group, func(other *networkingv1.IPBlock) bool { return takesFrom(other, block) || takesFrom(block, other) })
		}
		if i := slices.IndexFunc(groups, fits); i >= 0 {
			groups[i] = append(groups[i], block)
		} else {
			groups = append(groups, []*networkingv1.IPBlock{block})
		}
	}
	var out []v1alpha1.Peer
	for _, group := range groups {
		networks := &v1alpha1.NetworksPeer{}
		for _, block := range group {
			networks.CIDRs = append(networks.CIDRs, block.CIDR)
			networks.Except = append(networks.Except, block.Except...)
		}
		sortCIDRs(networks.CIDRs)
		sortCIDRs(networks.Except)
		if in.isInternet(group) {
			out = append(out, v1alpha1.Peer{Internet: &v1alpha1.InternetPeer{}})
		} else {
			out = append(out, v1alpha1.Peer{Networks: networks})
		}
	}
	return out
}

// takesFrom says whether an exception of a block lies in another.
func takesFrom(block, other *networkingv1.IPBlock) bool {
	cidr, err := kube.ParseCIDR(other.CIDR)
	return err != nil || slices.ContainsFunc(block.Except, func(text string) bool {
		except, err := kube.ParseCIDR(text)
		return err != nil || cidr.Overlaps(except)
	})
}

func sortCIDRs(texts []string) {
	slices.SortFunc(texts, func(a, b string) int {
		p, errA := netip.ParsePrefix(a)
		q, errB := netip.ParsePrefix(b)
		if errA != nil || errB != nil {
			return cmp.Compare(a, b)
		}
		return p.Compare(q)
	})
}

// isInternet says whether blocks are what the peer internet: {} stands for.
func (in *Input) isInternet(blocks []*networkingv1.IPBlock) bool {
	want := expand.Internet(in.Environment.ClusterNetworks)
	if len(want) != len(blocks) {
		return false
	}
	for _, of := range want {
		read, err := readBlock(of.IPBlock)
		if err != nil || !slices.ContainsFunc(blocks, func(b *networkingv1.IPBlock) bool { return textOf(b) == read.key }) {
			return false
		}
	}
	return true
}
