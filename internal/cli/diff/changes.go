package diff

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/internal/cli/ask"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/compare"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
)

// Describe names what differs for people: pods by their workloads and tiers, addresses by ranges, and the rules that decide
// by where they are written. Changes of the same ends are one.
func Describe(sides [2]*ask.Question, result compare.Result) report.Changes {
	out := report.Changes{Changes: []report.Change{}, Asked: result.Asked, Unknown: result.Unknown}
	d := DescriberOf(sides)
	index := map[string]int{}
	for _, group := range d.byAddresses(result.Changes) {
		c := group.change
		one := report.Change{Opened: c.Opened, From: d.Names(c.From), To: d.Names(c.To), Ports: []string{portWords(c)}}
		if len(group.addresses) > 0 && group.isSource {
			one.From = d.ranges(group.addresses)
		} else if len(group.addresses) > 0 {
			one.To = d.ranges(group.addresses)
		}
		one.File, one.Line, one.Reason = d.decided(c)
		ends := one.Ends()
		if i, found := index[ends]; found {
			out.Changes[i].Ports = append(out.Changes[i].Ports, one.Ports...)
			continue
		}
		index[ends] = len(out.Changes)
		out.Changes = append(out.Changes, one)
	}
	slices.SortStableFunc(out.Changes, func(a, b report.Change) int {
		return cmp.Or(slices.Compare(a.To, b.To), slices.Compare(a.From, b.From), cmp.Compare(fmt.Sprint(b.Opened), fmt.Sprint(a.Opened)))
	})
	return out
}

// Describer knows what ends of connections are called.
type Describer struct {
	sides [2]*ask.Question
	// Pods are those of both states, by name.
	Pods   map[types.NamespacedName]*corev1.Pod
	starts []netip.Addr
}

// DescriberOf returns one for what two states hold.
func DescriberOf(sides [2]*ask.Question) Describer {
	d := Describer{sides: sides, Pods: map[types.NamespacedName]*corev1.Pod{}, starts: scene.ToldApart(sides[0].Snapshot, sides[1].Snapshot)}
	for _, s := range sides {
		for _, pod := range s.Snapshot.Pods {
			d.Pods[types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}] = pod
		}
	}
	return d
}

// addressGroup is a change, and all addresses at one end of which it is so.
type addressGroup struct {
	change    compare.Change
	addresses []netip.Addr
	isSource  bool
}

// byAddresses has one group for changes that differ in an address alone.
func (d Describer) byAddresses(changes []compare.Change) []addressGroup {
	var out []addressGroup
	index := map[string]int{}
	for _, c := range changes {
		from, to := c.From[0].Address, c.To[0].Address
		if !from.IsValid() && !to.IsValid() {
			out = append(out, addressGroup{change: c})
			continue
		}
		address, isSource, other := to, false, c.From
		if from.IsValid() {
			address, isSource, other = from, true, c.To
		}
		key := fmt.Sprint(c.Opened, isSource, other, c.Protocol, c.First, c.Last)
		i, found := index[key]
		if !found {
			i = len(out)
			index[key] = i
			out = append(out, addressGroup{change: c, isSource: isSource})
		}
		out[i].addresses = append(out[i].addresses, address)
	}
	return out
}

// ranges names addresses that are each the first of a range that policies tell apart: any address, or the internet, if it
// is all of these, and else the ranges, of which those that follow each other are one.
func (d Describer) ranges(addresses []netip.Addr) []string {
	has := func(a netip.Addr) bool { return slices.Contains(addresses, a) }
	isInternet := func(a netip.Addr) bool { return expand.IsInternet(a, nil) }
	hasAll := func(of func(netip.Addr) bool) bool {
		return !slices.ContainsFunc(d.starts, func(a netip.Addr) bool { return of(a) && !has(a) })
	}
	all4, all6, internet := hasAll(netip.Addr.Is4), hasAll(netip.Addr.Is6), hasAll(isInternet)
	var out []string
	switch {
	case all4 && all6:
		return []string{report.AnyAddress}
	case all4:
		out = append(out, "any IPv4 address")
	case all6:
		out = append(out, "any IPv6 address")
	case internet:
		out = append(out, scene.InternetKind)
	}
	isNamed := func(a netip.Addr) bool {
		return all4 && a.Is4() || all6 && a.Is6() || !all4 && !all6 && internet && isInternet(a)
	}
	named := func(i int) bool { return has(d.starts[i]) && !isNamed(d.starts[i]) }
	for i := 0; i < len(d.starts); i++ {
		if !named(i) {
			continue
		}
		first := d.starts[i]
		for i+1 < len(d.starts) && named(i+1) && d.starts[i+1].Is4() == first.Is4() {
			i++
		}
		out = append(out, rangeWords(first, d.before(i+1, first.Is4())))
	}
	return out
}

// before is the last address before a start, of the same family.
func (d Describer) before(i int, is4 bool) netip.Addr {
	if i < len(d.starts) && d.starts[i].Is4() == is4 {
		return d.starts[i].Prev()
	}
	if is4 {
		return netip.AddrFrom4([4]byte{255, 255, 255, 255})
	}
	return netip.AddrFrom16([16]byte(bytes.Repeat([]byte{255}, 16)))
}

// rangeWords is a range in the notation of blocks, if it is one.
func rangeWords(first, last netip.Addr) string {
	for bits := 0; bits <= first.BitLen(); bits++ {
		prefix := netip.PrefixFrom(first, bits)
		if prefix.Masked().Addr() == first && prefix.Contains(last) && (!last.Next().IsValid() || !prefix.Contains(last.Next())) {
			return prefix.String()
		}
	}
	return first.String() + "-" + last.String()
}

// Names are how people know pods: by workload or tier, and else by name or labels. Described ones count where there is no
// other.
func (d Describer) Names(ends []reach.Endpoint) []string {
	var known, described []string
	add := func(to *[]string, name string) {
		if !slices.Contains(*to, name) {
			*to = append(*to, name)
		}
	}
	for _, e := range ends {
		pod := d.Pods[e.Pod]
		switch {
		case pod == nil:
			add(&known, e.String())
		case !scene.IsStandIn(pod) || !strings.Contains(pod.Name, " "):
			add(&known, WorkloadName(pod))
		case e.Pod.Namespace == scene.AnotherNamespace:
			add(&described, report.Elsewhere)
		default:
			add(&described, strings.TrimSuffix(e.Pod.String(), another))
		}
	}
	for _, e := range ends {
		if name := d.TierOf(d.Pods[e.Pod]); name != "" && len(known) == 0 {
			add(&known, name)
		}
	}
	if len(known) > 0 {
		return known
	}
	return described
}

// WorkloadName is the name of a pod's workload, from its name or its owner: replicas are alike.
func WorkloadName(pod *corev1.Pod) string {
	if name, _, isStandIn := strings.Cut(pod.Name, "["); isStandIn {
		return pod.Namespace + "/" + name
	}
	if kind, name := kube.OwnerOf(pod); kind != "" {
		return fmt.Sprintf("%s/%s/%s", pod.Namespace, strings.ToLower(kind), name)
	}
	return pod.Namespace + "/" + pod.Name
}

// TierOf names the tier that a pod is of; empty if it is of none.
func (d Describer) TierOf(pod *corev1.Pod) string {
	if pod == nil {
		return ""
	}
	for _, s := range []*ask.Question{d.sides[1], d.sides[0]} {
		for _, app := range s.Meant.Accepted {
			if app.Namespace != pod.Namespace {
				continue
			}
			for _, tier := range app.Spec.Tiers {
				selector, err := metav1.LabelSelectorAsSelector(&tier.PodSelector)
				if err == nil && selector.Matches(labels.Set(pod.Labels)) {
					return fmt.Sprintf("%s/tier/%s/%s", app.Namespace, app.Name, tier.Name)
				}
			}
		}
	}
	return ""
}

// decided is where the rule is written that opens or closes a connection, and why. Of what is closed, that is the rule that
// allowed it, or else what denies it now.
func (d Describer) decided(c compare.Change) (file string, line int, reason string) {
	egress := c.Before.Egress.Verdict != c.After.Egress.Verdict
	now, before := c.After.Ingress, c.Before.Ingress
	if egress {
		now, before = c.After.Egress, c.Before.Egress
	}
	after := d.sides[1]
	if file, line = after.DecidedAt(now); line == 0 && !c.Opened {
		file, line = d.sides[0].DecidedAt(before)
	}
	return file, line, after.ReasonWords(now.Reason)
}

func portWords(c compare.Change) string {
	switch {
	case c.First == 1 && c.Last == 65535:
		return string(c.Protocol)
	case c.First == c.Last:
		return fmt.Sprintf("%s %d", c.Protocol, c.First)
	default:
		return fmt.Sprintf("%s %d-%d", c.Protocol, c.First, c.Last)
	}
}
