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

// local is a pod of this node: the policies that isolate it, by name, and the groups that follow.
type local struct {
	in *namespace
	// under are the policies that isolate it; in a staged direction, those of them that are staged.
	under  map[Direction][]*policy
	groups map[Direction]*group
}

// policies are those that isolate the pod in a direction; in a staged one, those that would if the staged ones were
// enforced, or none if these are the same.
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

// locals are the pods of this node that have addresses of their own.
type locals struct {
	pods map[*ipset.Pod]*local
	// moved are the pods whose groups may be others.
	moved map[*ipset.Pod]bool
	// list are all of them, as they were last asked for; they have changed since if it says so.
	list    []LocalPod
	changed bool
}

// LocalPod is a pod of the compiler's node.
type LocalPod struct {
	// Name is "namespace/name".
	Name string
	// Addresses are those that it was given, sorted.
	Addresses []netip.Addr
}

// LocalNamespaces are those with pods of this node; they may come several times.
func (c *Compiler) LocalNamespaces() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, l := range c.locals.pods {
			if !yield(l.in.name) {
				return
			}
		}
	}
}

// SetNamespace tells of a namespace that came, or whose labels changed.
func (c *Compiler) SetNamespace(object *corev1.Namespace) {
	c.index.SetNamespace(object.Name, object.Labels)
}

// DeleteNamespace tells of a namespace that is gone. Its pods may go later.
func (c *Compiler) DeleteNamespace(name string) { c.index.DeleteNamespace(name) }

// SetPod tells of a pod that came or changed.
func (c *Compiler) SetPod(object *corev1.Pod) { c.PutPod(ipset.NewPod(object, c.gate.node)) }

// PutPod tells of what was read of the object before, for the compiler's node.
func (c *Compiler) PutPod(p *ipset.Pod) {
	key := types.NamespacedName{Namespace: p.Namespace, Name: p.Name}
	if !p.Addressed() {
		p = nil
	}
	c.replacePod(key, p)
}

// DeletePod tells of a pod that is gone.
func (c *Compiler) DeletePod(namespace, name string) {
	c.replacePod(types.NamespacedName{Namespace: namespace, Name: name}, nil)
}

// replacePod has another pod of a name, or none, in place of the one that was there. What depends on whose an
// address is goes before the index knows of the change, and comes after.
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

// join makes a pod of this node one of its namespace, under the policies that isolate it.
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

// leave takes it out of its namespace and its groups.
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

// LocalPods returns the pods of this node that have addresses of their own, by name. It is the same slice until
// one of them changes, and must not be modified.
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
