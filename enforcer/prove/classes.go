package prove

import (
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
	"github.com/apptier/apptier/policy/reach"
)

// class is a set of addresses that rules and policies treat alike, except that each address is itself.
type class struct {
	id string
	// members are one or two of the addresses.
	members []netip.Addr
}

// classes returns the classes of all addresses of a family. Their order depends only on their contents.
func (p *proof) classes(f expr.Network, table nft.Table, snapshot reach.Snapshot) []class {
	elements, ranges := elementsOf(table, f)
	ranges = append(ranges, blocksOf(snapshot, f)...)
	byID := map[string]*class{}
	for a, within := range covering(p.starts(f, elements, ranges, snapshot), ranges) {
		id := p.id(a, elements[a], within)
		c := byID[id]
		switch {
		case c == nil:
			byID[id] = &class{id, []netip.Addr{a}}
		case len(c.members) < 2:
			c.members = append(c.members, a)
		}
	}
	out := make([]class, 0, len(byID))
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		out = append(out, *byID[id])
	}
	return out
}

// span is a range of addresses, both ends included.
type span struct{ first, last netip.Addr }

func spanOf(p netip.Prefix) span {
	last := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 1 << (7 - bit%8)
	}
	end, _ := netip.AddrFromSlice(last)
	return span{p.Masked().Addr(), end}
}

// named is a range of addresses, and the name of the set that it belongs to.
type named struct {
	span
	name string
	// peer is the number of the policies' block that it belongs to, 0 for none. isExcept says that the block leaves it out.
	peer     int
	isExcept bool
}

// covering goes through sorted addresses, and yields each with the names of the ranges that hold it, and of the blocks
// that hold it and do not leave it out. It follows the ranges as they begin and end: there may be tens of thousands,
// and few of them hold one address.
func covering(addresses []netip.Addr, ranges []named) iter.Seq2[netip.Addr, []string] {
	return func(yield func(netip.Addr, []string) bool) {
		begin := make([]int, len(ranges))
		for i := range begin {
			begin[i] = i
		}
		slices.SortStableFunc(begin, func(a, b int) int { return ranges[a].first.Compare(ranges[b].first) })
		var open []int
		for _, a := range addresses {
			for len(begin) > 0 && ranges[begin[0]].first.Compare(a) <= 0 {
				open = append(open, begin[0])
				begin = begin[1:]
			}
			open = slices.DeleteFunc(open, func(i int) bool { return ranges[i].last.Less(a) })
			if !yield(a, namesOf(ranges, open)) {
				return
			}
		}
	}
}

// namesOf are the names of some ranges, sorted, without the blocks that leave one of them out.
func namesOf(ranges []named, some []int) []string {
	leftOut := map[int]bool{}
	for _, i := range some {
		if ranges[i].isExcept {
			leftOut[ranges[i].peer] = true
		}
	}
	var names []string
	for _, i := range some {
		if !leftOut[ranges[i].peer] {
			names = append(names, ranges[i].name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func isOf(a netip.Addr, f expr.Network) bool { return a.Is4() == (f == expr.IPv4) }

// blocksOf are the ranges of the policies' blocks. A rule treats all addresses in any of its blocks alike.
func blocksOf(snapshot reach.Snapshot, f expr.Network) []named {
	var out []named
	peers := 0
	for _, policy := range slices.Concat(snapshot.Policies, snapshot.Staged) {
		read := reach.Read(policy)
		for i, r := range slices.Concat(read.Ingress, read.Egress) {
			for _, peer := range r.Peers.Of {
				peers++
				add := func(block netip.Prefix, isExcept bool) {
					if block.IsValid() && isOf(block.Addr(), f) {
						out = append(out, named{spanOf(block), fmt.Sprintf("rule %d of %s", i, read.Name), peers, isExcept})
					}
				}
				add(peer.Block.CIDR, false)
				for _, except := range peer.Block.Except {
					add(except, true)
				}
			}
		}
	}
	return out
}

// elementsOf returns the elements of a table that name single addresses, sorted, and those that name ranges.
func elementsOf(table nft.Table, f expr.Network) (elements map[netip.Addr][]string, ranges []named) {
	elements = map[netip.Addr][]string{}
	for _, name := range slices.Sorted(maps.Keys(table.Sets)) {
		for key, element := range table.Sets[name].Elements {
			parts := strings.Split(key, nft.Key("", ""))
			first, last, isRange := strings.Cut(parts[0], "-")
			a, err := netip.ParseAddr(first)
			if err != nil || !isOf(a, f) {
				continue
			}
			if !isRange {
				elements[a] = append(elements[a], name+" "+about(parts)+" "+element.Value)
				if b, err := netip.ParseAddr(parts[len(parts)-1]); err == nil && len(parts) > 1 && b != a {
					elements[b] = append(elements[b], name+" second to "+parts[0])
				}
				continue
			}
			if end, err := netip.ParseAddr(last); err == nil {
				ranges = append(ranges, named{span: span{a, end}, name: name + " " + element.Value})
			}
		}
	}
	for _, a := range comparedIn(table) {
		if isOf(a, f) {
			elements[a] = append(elements[a], "compared with "+a.String())
		}
	}
	for _, said := range elements {
		slices.Sort(said)
	}
	return elements, ranges
}

// comparedIn are the addresses in the rules themselves.
func comparedIn(table nft.Table) []netip.Addr {
	var out []netip.Addr
	for _, chain := range table.Chains {
		for _, rule := range chain.Rules {
			for _, e := range rule.Exprs {
				if compared, ok := e.(expr.Address); ok {
					out = append(out, compared.Address)
				}
			}
		}
	}
	return out
}

// about is the rest of a key. An element that lets a pod reach itself holds the pod's own address as the rest: this does
// not distinguish pods.
func about(parts []string) string {
	if len(parts) == 2 && parts[0] == parts[1] {
		return "itself"
	}
	return strings.Join(parts[1:], " ")
}

// starts are the addresses at which the treatment of addresses may change, sorted. They include one address of each
// range between two of them.
func (p *proof) starts(f expr.Network, elements map[netip.Addr][]string, ranges []named, snapshot reach.Snapshot) []netip.Addr {
	var spans []span
	for _, r := range ranges {
		spans = append(spans, r.span)
	}
	add := func(a netip.Addr) { spans = append(spans, span{a, a}) }
	for a := range elements {
		add(a)
	}
	for a := range p.world.claimants {
		add(a)
	}
	for _, node := range snapshot.Nodes {
		for _, address := range node.Status.Addresses {
			if a, err := netip.ParseAddr(address.Address); err == nil {
				add(a.Unmap())
			}
		}
	}
	for _, text := range notRouted {
		spans = append(spans, spanOf(netip.MustParsePrefix(text)))
	}
	for _, prefix := range p.world.ranges {
		spans = append(spans, spanOf(prefix))
	}
	var out []netip.Addr
	for _, s := range spans {
		out = append(out, s.first, s.last.Next())
	}
	out = slices.DeleteFunc(out, func(a netip.Addr) bool { return !a.IsValid() || !isOf(a, f) })
	slices.SortFunc(out, netip.Addr.Compare)
	out = slices.Compact(out)
	for _, a := range out {
		if len(p.world.claimants[a]) > 0 || len(elements[a]) > 0 {
			p.report.Addresses++
		}
	}
	return out
}

// notRouted are the ranges for which isRouted is false, and the whole of both families.
var notRouted = []string{
	"0.0.0.0/0", "0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32",
	"::/0", "::/128", "::1/128", "::ffff:0:0/96", "fe80::/10", "ff00::/8",
}

// id is everything that rules and policies may check about an address: they treat two with the same id alike.
func (p *proof) id(a netip.Addr, elements, within []string) string {
	var b strings.Builder
	fmt.Fprint(&b, isRouted(a), p.world.own[a], p.world.isPods(a), " sets ", strings.Join(elements, ","))
	b.WriteString(" within " + strings.Join(within, ","))
	claimants := p.world.claimants[a]
	for _, pod := range claimants {
		b.WriteString(" pod " + p.asked.of(pod))
		if pod.Spec.NodeName == p.world.node { // policies select it
			fmt.Fprintf(&b, " here %s %s", pod.Namespace, labels.Set(pod.Labels))
		}
		// The owner of an address matters if the pod has others, or if other pods claim it.
		if len(claimants) > 1 || len(addressesOf(pod)) > 2 || !p.alone(pod) {
			b.WriteString(" " + pod.Name)
		}
	}
	return b.String()
}

// alone says whether a pod has at most one address of each family, and no other pod claims one of them.
func (p *proof) alone(pod *corev1.Pod) bool {
	seen := map[bool]bool{}
	for _, a := range addressesOf(pod) {
		if seen[a.Is4()] || len(p.world.claimants[a]) > 1 {
			return false
		}
		seen[a.Is4()] = true
	}
	return true
}
