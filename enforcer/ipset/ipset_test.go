package ipset_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/enforcer/ipset"
)

const here = "node-0"

// holder holds sets, as whoever listens does.
type holder map[string]map[string]bool

func (h holder) AddMember(set string, m ipset.Member) {
	if h[set] == nil {
		h[set] = map[string]bool{}
	}
	h[set][text(m)] = true
}

func (h holder) RemoveMember(set string, m ipset.Member) {
	if delete(h[set], text(m)); len(h[set]) == 0 {
		delete(h, set)
	}
}

func text(m ipset.Member) string {
	if m.WithPort {
		return fmt.Sprint(m, " ", m.Port)
	}
	return m.String()
}

// world is the objects, the sets and the counts that an index was told of.
type world struct {
	index      *ipset.Index
	held       holder
	pods       map[types.NamespacedName]*ipset.Pod
	namespaces map[string]map[string]string
	sets       map[string]ipset.Spec
	counts     map[*ipset.Selector]*counted
	ports      map[ipset.PortRef]*counted
}

type counted struct {
	*ipset.Count
	told int
}

func newWorld() *world {
	held := holder{}
	return &world{
		index: ipset.New(held), held: held, pods: map[types.NamespacedName]*ipset.Pod{}, namespaces: map[string]map[string]string{},
		sets: map[string]ipset.Spec{}, counts: map[*ipset.Selector]*counted{}, ports: map[ipset.PortRef]*counted{},
	}
}

var (
	namespaces = []string{"a", "b", "c"}
	http       = ipset.NamedPort{Name: "http", Protocol: corev1.ProtocolTCP}
	selectors  = []*ipset.Selector{
		{Text: "a all", Names: []string{"a"}, Pods: labels.Everything()},
		{Text: "a app=x", Names: []string{"a"}, Pods: selecting("app", "x")},
		{Text: "team=t", Namespaces: selecting("team", "t"), Pods: labels.Everything()},
		{Text: "any app=x", Namespaces: labels.Everything(), Pods: selecting("app", "x")},
		{Text: "b by name app=y", Names: []string{"b"}, Namespaces: selecting(corev1.LabelMetadataName, "b"), Pods: selecting("app", "y")},
	}
)

func selecting(key, value string) labels.Selector { return labels.Set{key: value}.AsSelector() }

// pod draws a pod that may claim addresses of others.
func pod(t *rapid.T) *ipset.Pod {
	object := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: rapid.SampledFrom(namespaces).Draw(t, "namespace"), Name: rapid.SampledFrom([]string{"p", "q", "r"}).Draw(t, "name"),
			Labels: map[string]string{"app": rapid.SampledFrom([]string{"x", "y"}).Draw(t, "app")},
		},
		Spec:   corev1.PodSpec{NodeName: rapid.SampledFrom([]string{here, "node-1"}).Draw(t, "node")},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for _, number := range rapid.SliceOfNDistinct(rapid.Int32Range(80, 82), 0, 2, rapid.ID).Draw(t, "ports") {
		port := corev1.ContainerPort{Name: http.Name, ContainerPort: number}
		object.Spec.Containers = append(object.Spec.Containers, corev1.Container{Ports: []corev1.ContainerPort{port}})
	}
	address := rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.2", "fd00::1"})
	for _, a := range rapid.SliceOfNDistinct(address, 1, 2, rapid.ID).Draw(t, "addresses") {
		object.Status.PodIPs = append(object.Status.PodIPs, corev1.PodIP{IP: a})
	}
	p := ipset.NewPod(object, here)
	if rapid.Bool().Draw(t, "announced") {
		var addresses []netip.Addr
		for _, a := range p.Addresses {
			addresses = append(addresses, a.Addr)
		}
		p = p.With(addresses)
	}
	return p
}

func (w *world) set(key types.NamespacedName, p *ipset.Pod) {
	if change, differs := w.index.Compare(key, p); differs {
		w.index.Apply(change)
	}
	if delete(w.pods, key); p != nil {
		w.pods[key] = p
	}
}

func (w *world) setPod(t *rapid.T) {
	p := pod(t)
	w.set(types.NamespacedName{Namespace: p.Namespace, Name: p.Name}, p)
}

func (w *world) deletePod(t *rapid.T) {
	p := pod(t)
	w.set(types.NamespacedName{Namespace: p.Namespace, Name: p.Name}, nil)
}

func (w *world) changeNamespace(t *rapid.T) {
	name := rapid.SampledFrom(namespaces).Draw(t, "namespace")
	switch team := rapid.SampledFrom([]string{"", "t", "u"}).Draw(t, "team"); team {
	case "":
		w.index.DeleteNamespace(name)
		delete(w.namespaces, name)
	default:
		w.namespaces[name] = map[string]string{"team": team}
		w.index.SetNamespace(name, w.namespaces[name])
	}
}

func (w *world) changeSet(t *rapid.T) {
	family := rapid.SampledFrom([]ipset.Family{ipset.IPv4, ipset.IPv6}).Draw(t, "family")
	chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(selectors), 1, 3, rapid.ID).Draw(t, "selectors")
	name, spec := fmt.Sprint("counted", family), ipset.Spec{Family: family, Selectors: chosen, Counted: true}
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		name, spec = fmt.Sprint(chosen[0].Text, family), ipset.Spec{Family: family, Selectors: chosen[:1]}
	case 1:
		port := ipset.PortRef{NamedPort: http, Local: rapid.Bool().Draw(t, "local")}
		name, spec = fmt.Sprint(port, family), ipset.Spec{Family: family, Port: &port}
	}
	if _, there := w.sets[name]; there && rapid.Bool().Draw(t, "delete") {
		w.index.DeleteSet(name)
		delete(w.sets, name)
		delete(w.held, name)
		return
	}
	w.sets[name] = spec
	w.index.UpdateSet(name, spec)
}

func (w *world) changeCount(t *rapid.T) {
	s := rapid.SampledFrom(selectors).Draw(t, "selector")
	port := ipset.PortRef{NamedPort: http, Local: rapid.Bool().Draw(t, "local")}
	if c := w.counts[s]; c != nil {
		w.index.StopCount(c.Count)
		delete(w.counts, s)
	} else {
		c := &counted{}
		c.Count = w.index.Count(s, func(by int) { c.told += by })
		c.told, w.counts[s] = c.Addresses(), c
	}
	if c := w.ports[port]; c != nil {
		w.index.StopCount(c.Count)
		delete(w.ports, port)
	} else {
		c := &counted{}
		c.Count = w.index.CountPort(port, func(by int) { c.told += by })
		c.told, w.ports[port] = c.Addresses(), c
	}
}

// selects tells what a selector means, by its definition.
func (w *world) selects(s *ipset.Selector, p *ipset.Pod) bool {
	of := labels.Merge(w.namespaces[p.Namespace], labels.Set{corev1.LabelMetadataName: p.Namespace})
	return s.Pods.Matches(p.Labels) && (s.Names == nil || slices.Contains(s.Names, p.Namespace)) &&
		(s.Namespaces == nil || s.Namespaces.Matches(of))
}

// owners are the pods that own an address: of this node before others, and announced before others of this node.
func (w *world) owners(a ipset.Address) []*ipset.Pod {
	var out []*ipset.Pod
	best := 0
	for _, p := range w.pods {
		if !slices.Contains(p.Addresses, a) {
			continue
		}
		rank := 1
		if p.Local {
			rank = 2
		}
		if p.Local && p.Announced {
			rank = 3
		}
		if rank > best {
			best, out = rank, nil
		}
		if rank == best {
			out = append(out, p)
		}
	}
	return out
}

// members are what a set is to hold: what is so of all owners of an address.
func (w *world) members(spec ipset.Spec) map[string]bool {
	out := map[string]bool{}
	for _, claimant := range w.pods {
		for _, a := range claimant.Addresses {
			owners := w.owners(a)
			all := func(so func(*ipset.Pod) bool) bool {
				return !slices.ContainsFunc(owners, func(p *ipset.Pod) bool { return !so(p) })
			}
			for _, s := range spec.Selectors {
				if a.Family() == spec.Family && all(func(p *ipset.Pod) bool { return w.selects(s, p) }) {
					out[a.String()] = true
				}
			}
			for _, port := range claimant.Ports {
				if spec.Port == nil || port.NamedPort != spec.Port.NamedPort || spec.Port.Local && !owners[0].Local || a.Family() != spec.Family {
					continue
				}
				if all(func(p *ipset.Pod) bool { return slices.Contains(p.Ports, port) }) {
					out[fmt.Sprint(a, " ", port.Number)] = true
				}
			}
		}
	}
	return out
}

func (w *world) check(t *rapid.T) {
	want, total := holder{}, 0
	for name, spec := range w.sets {
		if members := w.members(spec); len(members) > 0 {
			want[name] = members
		}
	}
	if diff := cmp.Diff(want, w.held); diff != "" {
		t.Fatalf("sets (-want +got):\n%s", diff)
	}
	for _, p := range w.pods {
		total += len(p.Addresses)
	}
	if got := w.index.Total(); got != total {
		t.Fatalf("%d addresses, want %d", got, total)
	}
	for s, c := range w.counts {
		n := 0
		for p := range maps.Values(w.pods) {
			if w.selects(s, p) {
				n += len(p.Addresses)
			}
		}
		if c.Addresses() != n || c.told != n {
			t.Fatalf("%s: %d addresses, told of %d, want %d", s.Text, c.Addresses(), c.told, n)
		}
	}
	for port, c := range w.ports {
		n := 0
		for _, p := range w.pods {
			if p.Local || !port.Local {
				n += len(p.Addresses) * len(p.Ports)
			}
		}
		if c.Addresses() != n || c.told != n {
			t.Fatalf("%v: %d addresses, told of %d, want %d", port, c.Addresses(), c.told, n)
		}
	}
}

// Whatever came and went, in whatever order: sets hold what their definition says of the objects that are there
// now, and counts are what they count.
func TestSetsHoldWhatTheyMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		t.Repeat(map[string]func(*rapid.T){
			"a pod comes or changes":       w.setPod,
			"another comes or changes":     w.setPod,
			"a pod goes":                   w.deletePod,
			"a namespace changes":          w.changeNamespace,
			"a set comes, changes or goes": w.changeSet,
			"a count begins or ends":       w.changeCount,
			"":                             w.check,
		})
	})
}
