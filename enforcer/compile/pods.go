package compile

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/enforcer/ipset"
)

// local holds the policies that isolate a pod of this node, and the groups that the pod is in because of them.
type local struct {
	in *namespace
	// under lists the policies that isolate the pod, sorted by name. A staged direction lists staged policies only.
	under  map[Direction][]*policy
	groups map[Direction]*group
}

// policies returns the policies that isolate the pod in a direction. For a staged direction it returns those that would
// isolate the pod if the staged policies were enforced, or nil if that makes no difference.
func (l *local) policies(direction Direction) []*policy {
	enforced := l.under[direction.half()]
	switch {
	case !direction.isStaged():
		return enforced
	case len(l.in.staged) == 0:
		return nil
	}
	all := slices.DeleteFunc(slices.Clone(enforced), func(p *policy) bool { return l.in.staged[p.name] != nil })
	if all = append(all, l.under[direction]...); len(all) == len(enforced) && len(l.under[direction]) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b *policy) int { return cmp.Compare(a.name, b.name) })
	return all
}

// locals holds the pods of this node that have an address of their own. That leaves out pods on the host network, and
// pods that have no address yet.
type locals struct {
	pods map[*ipset.Pod]*local
	// moved are the pods whose groups have to be recomputed.
	moved map[*ipset.Pod]bool
	// list caches the result of LocalPods. It is stale if changed is true.
	list    []LocalPod
	changed bool
}

// LocalPod is a pod on the compiler's node.
type LocalPod struct {
	// Name is "namespace/name".
	Name string
	// Addresses are the addresses in the pod's status, sorted.
	Addresses []netip.Addr
}

// LocalNamespaces iterates over the namespaces of the pods on this node. A namespace may occur several times.
func (c *Compiler) LocalNamespaces() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, l := range c.locals.pods {
			if !yield(l.in.name) {
				return
			}
		}
	}
}

// SetNamespace adds a namespace or updates its labels.
func (c *Compiler) SetNamespace(object *corev1.Namespace) {
	c.index.SetNamespace(object.Name, object.Labels)
}

// DeleteNamespace removes a namespace. Its pods may be deleted later.
func (c *Compiler) DeleteNamespace(name string) { c.index.DeleteNamespace(name) }

// SetPod adds or updates a pod.
func (c *Compiler) SetPod(object *corev1.Pod) { c.PutPod(ipset.NewPod(object, c.gate.node)) }

// PutPod is SetPod for a pod that ipset.NewPod has already read for the compiler's node.
func (c *Compiler) PutPod(p *ipset.Pod) {
	key := types.NamespacedName{Namespace: p.Namespace, Name: p.Name}
	if !p.Addressed() {
		p = nil
	}
	c.replacePod(key, p)
}

// DeletePod removes a pod.
func (c *Compiler) DeletePod(namespace, name string) {
	c.replacePod(types.NamespacedName{Namespace: namespace, Name: name}, nil)
}

// replacePod replaces the pod with the given name by p, or removes it if p is nil. The dispatch entries of all pods
// whose ownership of an address may change are removed before the index changes, and added again after.
func (c *Compiler) replacePod(key types.NamespacedName, p *ipset.Pod) {
	change, differs := c.index.Compare(key, p)
	if !differs {
		return
	}
	c.dispatch.remove(change.Old)
	for rival := range change.Rivals {
		c.dispatch.remove(rival)
	}
	c.leave(change.Old)
	c.index.Apply(change)
	c.join(p)
	c.dispatch.add(p)
	for rival := range change.Rivals {
		c.dispatch.add(rival)
	}
	c.gate.reopen(change.Old)
	c.gate.reopen(p)
	c.policies.collectGarbage(key.Namespace)
}

// join adds a pod of this node to its namespace, and matches it with the policies there.
func (c *Compiler) join(p *ipset.Pod) {
	if p == nil || !p.Local {
		return
	}
	s := c.policies.namespaceOf(p.Namespace)
	c.locals.pods[p] = &local{in: s, under: map[Direction][]*policy{}, groups: map[Direction]*group{}}
	c.locals.changed = true
	if s.locals[p] = true; len(s.locals) == 1 {
		c.policies.readAll(s)
	}
	for policy := range s.all() {
		c.policies.match(p, policy)
	}
}

// leave removes a pod of this node from its namespace and its groups.
func (c *Compiler) leave(p *ipset.Pod) {
	if p == nil || !p.Local {
		return
	}
	for _, g := range c.locals.pods[p].groups {
		c.groups.takeOut(p, g)
	}
	delete(c.locals.pods, p)
	delete(c.locals.moved, p)
	c.locals.changed = true
	s := c.policies.namespaces[p.Namespace]
	if delete(s.locals, p); len(s.locals) == 0 {
		c.policies.forgetAll(s)
	}
}

// LocalPods returns the pods of this node that have an address of their own, sorted by name. It returns the same slice
// until a pod changes. Callers must not modify it.
func (c *Compiler) LocalPods() []LocalPod {
	l := c.locals
	if !l.changed {
		return l.list
	}
	l.changed = false
	l.list = make([]LocalPod, 0, len(l.pods))
	for p := range l.pods {
		pod := LocalPod{Name: p.String()}
		for _, a := range p.Addresses {
			pod.Addresses = append(pod.Addresses, a.Addr)
		}
		l.list = append(l.list, pod)
	}
	slices.SortFunc(l.list, func(a, b LocalPod) int { return cmp.Compare(a.Name, b.Name) })
	return l.list
}
