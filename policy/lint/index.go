package lint

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
)

// Index is a World prepared for many NetworkPolicies to be judged in it, also at the same time: an
// index never changes, nor may the objects that it was made from.
type Index struct {
	whole bool
	known Parts
	// unknown are the keys of labels whose values are not known of some pods.
	unknown     []string
	morePods    bool
	podNetworks []netip.Prefix
	backends    map[string][]Backend
	// serviceNetworks are the addresses that Services may have.
	serviceNetworks connset.Addresses
	dnsService      types.NamespacedName

	contents map[string]*contents
	// sorted are the contents of all namespaces that are known to exist, by name.
	sorted []*contents
	// strange are those of sorted which are known only for what is in them.
	strange []*contents
	// elsewhere are the names of namespaces that do not exist.
	elsewhere connset.Values
	// named says that some namespace has the label "name".
	named bool
	// dns are the Services of the cluster's DNS, in no order.
	dns []*corev1.Service
}

// NewIndex prepares a world.
func NewIndex(world World) *Index {
	x := &Index{
		whole: world.Whole, known: world.Known, unknown: world.UnknownLabels, morePods: world.MorePods, podNetworks: world.PodNetworks,
		backends: backendsByNamespace(world.Backends), dnsService: world.DNSService,
		serviceNetworks: connset.PrefixAddresses(world.ServiceNetworks...),
	}
	return x.With(byNamespace(world))
}

// WithBackends returns the index of a world where the API server calls these.
func (x *Index) WithBackends(backends []Backend) *Index {
	next := *x
	next.backends = backendsByNamespace(backends)
	return &next
}

// WithServiceNetworks returns the index of a world where Services get their addresses from these.
func (x *Index) WithServiceNetworks(networks []netip.Prefix) *Index {
	next := *x
	next.serviceNetworks = connset.PrefixAddresses(networks...)
	return &next
}

// byNamespace returns the lists of a world, parted.
func byNamespace(world World) map[string]World {
	parts := map[string]World{}
	part := func(name string, add func(*World)) {
		w := parts[name]
		add(&w)
		parts[name] = w
	}
	for _, o := range world.Namespaces {
		part(o.Name, func(w *World) { w.Namespaces = append(w.Namespaces, o) })
	}
	for _, o := range world.Pods {
		part(o.Namespace, func(w *World) { w.Pods = append(w.Pods, o) })
	}
	for _, o := range world.Services {
		part(o.Namespace, func(w *World) { w.Services = append(w.Services, o) })
	}
	for _, o := range world.Policies {
		part(o.Namespace, func(w *World) { w.Policies = append(w.Policies, o) })
	}
	for _, o := range world.Generated {
		part(o.Namespace, func(w *World) { w.Generated = append(w.Generated, o) })
	}
	return parts
}

// With returns the index of a world where some namespaces hold these lists in place of what they
// held. What else a World says stays as it was.
func (x *Index) With(parts map[string]World) *Index {
	next := *x
	next.contents = maps.Clone(x.contents)
	if next.contents == nil {
		next.contents = map[string]*contents{}
	}
	for name, part := range parts {
		if next.contents[name] = x.newContents(name, part, x.contents[name]); next.contents[name].isEmpty() {
			delete(next.contents, name)
		}
	}
	next.sorted, next.strange, next.named, next.dns = nil, nil, false, nil
	var names []string
	for _, c := range next.contents {
		switch {
		case c.exists:
			names = append(names, c.name)
			_, hasName := c.labels["name"]
			next.named = next.named || hasName
		case len(c.pods) > 0:
			next.strange = append(next.strange, c)
		default:
			continue
		}
		next.sorted = append(next.sorted, c)
	}
	for _, name := range wellKnownNamespaces {
		if c := next.at(name); !c.exists && len(c.pods) == 0 {
			next.sorted = append(next.sorted, c)
		}
	}
	// What the policies of a pod say together is not known while one of them may select it or not.
	if len(next.unknown) > 0 {
		for _, c := range next.contents {
			next.known.Policies = next.known.Policies && !slices.ContainsFunc(c.policies, next.asksUnknown)
		}
	}
	slices.SortFunc(next.sorted, compareContents)
	slices.SortFunc(next.strange, compareContents)
	for _, name := range slices.Sorted(maps.Keys(next.contents)) {
		next.dns = append(next.dns, next.contents[name].dns...)
	}
	next.elsewhere = connset.NoneOf(names...).Minus(connset.Missing())
	return &next
}

// asksUnknown says whether a policy selects by a label whose value is not known of some pods.
func (x *Index) asksUnknown(policy *knownPolicy) bool {
	asks := func(box connset.Box, scope connset.Scope) bool {
		return slices.ContainsFunc(box.Labels(scope), func(key string) bool { return slices.Contains(x.unknown, key) })
	}
	if len(x.unknown) == 0 {
		return false
	}
	return asks(policy.selected, connset.Subject) || slices.ContainsFunc(slices.Concat(policy.ingress, policy.egress), func(clause connset.Clause) bool {
		return asks(clause.Box, connset.Peer)
	})
}

// wellKnownNamespaces exist in every cluster.
var wellKnownNamespaces = []string{"default", "kube-node-lease", "kube-public", "kube-system"}

func compareContents(a, b *contents) int { return cmp.Compare(a.name, b.name) }

// at returns what is in a namespace, which may be nothing.
func (x *Index) at(name string) *contents {
	if c, found := x.contents[name]; found {
		return c
	}
	return x.newContents(name, World{}, nil)
}

// contents is what is in a namespace.
type contents struct {
	name string
	// exists says that the namespace is known, and not only what is in it.
	exists bool
	// labels of the namespace; what is not known about it is not there.
	labels map[string]string
	// pods that are not finished, by name.
	pods     []*knownPod
	labelled map[label][]*knownPod
	// services and the policies are by name too: a finding names the same example however the objects came.
	services []*corev1.Service
	dns      []*corev1.Service
	// policies are those of AppTiers, which generated holds alone, after all others.
	policies, generated []*knownPolicy
}

// label is a label that a pod has.
type label struct{ key, value string }

// knownPod is a pod, with what is asked of it time and again.
type knownPod struct {
	*corev1.Pod
	in *contents
	// onNode says that the pod is on its node's network.
	onNode    bool
	addresses []netip.Addr
	ports     []corev1.ContainerPort
	// named are the ports that have names, in a form to compare.
	named string
	class *class
}

// class is a set of policies, for the pods that exactly these select.
type class struct{ policies []*knownPolicy }

// knownPolicy is a policy, taken apart.
type knownPolicy struct {
	*networkingv1.NetworkPolicy
	selected        connset.Box
	ingress, egress []connset.Clause
}

func knownPolicyOf(policy *networkingv1.NetworkPolicy) *knownPolicy {
	read := connset.Read(policy)
	return &knownPolicy{policy, read.Selected, read.Ingress, read.Egress}
}

func (p *knownPolicy) clauses(direction networkingv1.PolicyType) []connset.Clause {
	if direction == ingress {
		return p.ingress
	}
	return p.egress
}

func (p *knownPolicy) isolates(direction networkingv1.PolicyType) bool {
	return kube.Isolates(&p.Spec, direction)
}

// byName returns objects of a namespace in the order of their names.
func byName[T metav1.Object](objects []T) []T {
	return slices.SortedStableFunc(slices.Values(objects), func(a, b T) int { return cmp.Compare(a.GetName(), b.GetName()) })
}

// newContents prepares what is in a namespace, and takes over what it can of what was there before.
func (x *Index) newContents(name string, of World, before *contents) *contents {
	c := &contents{name: name, labels: map[string]string{}, labelled: map[label][]*knownPod{}, services: byName(of.Services)}
	for _, namespace := range of.Namespaces {
		c.exists, c.labels = true, maps.Clone(namespace.Labels)
	}
	if c.labels == nil {
		c.labels = map[string]string{}
	}
	c.labels[corev1.LabelMetadataName] = name
	c.dns = slices.DeleteFunc(slices.Clone(c.services), func(service *corev1.Service) bool { return !x.isDNS(service) })
	for _, pod := range byName(of.Pods) {
		if !kube.Finished(pod) {
			c.pods = append(c.pods, &knownPod{Pod: pod, in: c, onNode: pod.Spec.HostNetwork, addresses: kube.Addresses(pod), ports: kube.Ports(pod)})
		}
	}
	for _, pod := range c.pods {
		for _, port := range pod.ports {
			if port.Name != "" {
				pod.named += port.Name + " " + string(port.Protocol) + " " + strconv.Itoa(int(port.ContainerPort)) + " "
			}
		}
		for key, value := range pod.Labels {
			c.labelled[label{key, value}] = append(c.labelled[label{key, value}], pod)
		}
	}
	known := map[*networkingv1.NetworkPolicy]*knownPolicy{}
	if before != nil {
		for _, policy := range before.policies {
			known[policy.NetworkPolicy] = policy
		}
	}
	again := func(policy *networkingv1.NetworkPolicy) *knownPolicy {
		if p, found := known[policy]; found {
			return p
		}
		if weightOf(policy) > mostConditions {
			return &knownPolicy{NetworkPolicy: policy}
		}
		return knownPolicyOf(policy)
	}
	for _, policy := range byName(of.Policies) {
		c.policies = append(c.policies, again(policy))
	}
	for _, policy := range byName(of.Generated) {
		c.generated = append(c.generated, again(policy))
	}
	c.policies = append(c.policies, c.generated...)
	c.classify()
	return c
}

func (c *contents) isEmpty() bool {
	return !c.exists && len(c.pods)+len(c.services)+len(c.policies) == 0
}

// classify tells every pod which policies select it.
func (c *contents) classify() {
	selecting := map[*knownPod][]byte{}
	for i, policy := range c.policies {
		for _, pod := range c.selected(policy) {
			selecting[pod] = append(selecting[pod], byte(i>>16), byte(i>>8), byte(i))
		}
	}
	classes := map[string]*class{}
	for _, pod := range c.pods {
		key := selecting[pod]
		if classes[string(key)] == nil {
			of := &class{}
			for i := 0; i < len(key); i += 3 {
				of.policies = append(of.policies, c.policies[int(key[i])<<16|int(key[i+1])<<8|int(key[i+2])])
			}
			classes[string(key)] = of
		}
		pod.class = classes[string(key)]
	}
}

// selected are the pods that a policy selects.
func (c *contents) selected(policy *knownPolicy) []*knownPod {
	if policy.selected.IsEmpty() {
		return nil
	}
	return c.matching(policy.selected, connset.Subject)
}

// matching are the pods whose labels meet a box's conditions on those of a scope.
func (c *contents) matching(box connset.Box, scope connset.Scope) []*knownPod {
	candidates, all := c.near(box, scope)
	if all {
		return candidates
	}
	return where(candidates, func(pod *knownPod) bool { return box.Match(scope, pod.Labels) })
}

// near are pods among which are those that match, and whether they all do.
func (c *contents) near(box connset.Box, scope connset.Scope) (candidates []*knownPod, all bool) {
	conditions, candidates := box.Conditions(scope), c.pods
	if key, values, found := box.Listing(scope); found && len(values) == 1 {
		conditions, candidates = conditions-1, c.labelled[label{key, values[0]}]
	}
	return candidates, conditions == 0
}

// matching are pods of a namespace that match, for which it spends what it takes to find them.
func (v *view) matching(c *contents, box connset.Box, scope connset.Scope) []*knownPod {
	candidates, all := c.near(box, scope)
	if !v.work.spend(len(candidates)) {
		return nil
	}
	if all {
		return candidates
	}
	return where(candidates, func(pod *knownPod) bool { return box.Match(scope, pod.Labels) })
}
