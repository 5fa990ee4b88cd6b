package world

import (
	"cmp"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
)

// Namespace is what is in a namespace.
type Namespace struct {
	Name string
	// Exists says that the namespace itself is known, not only its contents.
	Exists bool
	// Labels of the namespace that are known.
	Labels map[string]string
	// Pods that are not finished, by name.
	Pods     []*Pod
	labelled map[label][]*Pod
	// Services and policies are also by name, so that a finding names the same example in any order of objects.
	Services []*corev1.Service
	dns      []*corev1.Service
	// Policies has the policies of AppTiers, which Generated holds alone, after all others.
	Policies, Generated []*Policy
}

// label is a label that a pod has.
type label struct{ key, value string }

// byName returns objects of a namespace in the order of their names.
func byName[T metav1.Object](objects []T) []T {
	return slices.SortedStableFunc(slices.Values(objects), func(a, b T) int { return cmp.Compare(a.GetName(), b.GetName()) })
}

// newNamespace prepares the contents of a namespace, and reuses what it can of the previous ones.
func (x *Index) newNamespace(name string, of World, before *Namespace) *Namespace {
	c := &Namespace{Name: name, Labels: map[string]string{}, labelled: map[label][]*Pod{}, Services: byName(of.Services)}
	for _, namespace := range of.Namespaces {
		c.Exists, c.Labels = true, maps.Clone(namespace.Labels)
	}
	if c.Labels == nil {
		c.Labels = map[string]string{}
	}
	c.Labels[corev1.LabelMetadataName] = name
	c.dns = slices.DeleteFunc(slices.Clone(c.Services), func(service *corev1.Service) bool { return !x.IsDNS(service) })
	for _, object := range byName(of.Pods) {
		if kube.Finished(object) {
			continue
		}
		pod := before.readAgain(object)
		pod.In = c
		c.Pods = append(c.Pods, pod)
		for key, value := range pod.Labels {
			c.labelled[label{key, value}] = append(c.labelled[label{key, value}], pod)
		}
	}
	known := map[*networkingv1.NetworkPolicy]*Policy{}
	if before != nil {
		for _, policy := range before.Policies {
			known[policy.NetworkPolicy] = policy
		}
	}
	again := func(policy *networkingv1.NetworkPolicy) *Policy {
		if p, found := known[policy]; found {
			return p
		}
		if weightOf(policy) > mostConditions {
			return &Policy{NetworkPolicy: policy}
		}
		return policyOf(policy)
	}
	for _, policy := range byName(of.Policies) {
		c.Policies = append(c.Policies, again(policy))
	}
	for _, policy := range byName(of.Generated) {
		c.Generated = append(c.Generated, again(policy))
	}
	c.Policies = append(c.Policies, c.Generated...)
	c.classify()
	return c
}

// readAgain reads a pod, or takes what was read of it before.
func (c *Namespace) readAgain(object *corev1.Pod) *Pod {
	if c != nil {
		i, found := slices.BinarySearchFunc(c.Pods, object.Name, func(p *Pod, name string) int { return cmp.Compare(p.Name, name) })
		if found && c.Pods[i].Pod == object {
			pod := *c.Pods[i]
			return &pod
		}
	}
	pod := &Pod{Pod: object, OnNode: object.Spec.HostNetwork, Addresses: kube.Addresses(object), Ports: kube.Ports(object)}
	for _, port := range pod.Ports {
		if port.Name != "" {
			pod.Named += port.Name + " " + string(port.Protocol) + " " + strconv.Itoa(int(port.ContainerPort)) + " "
		}
	}
	return pod
}

func (c *Namespace) isEmpty() bool {
	return !c.Exists && len(c.Pods)+len(c.Services)+len(c.Policies) == 0
}

// classify computes which policies select each pod.
func (c *Namespace) classify() {
	selecting := map[*Pod][]byte{}
	for i, policy := range c.Policies {
		for _, pod := range c.Selected(policy) {
			selecting[pod] = append(selecting[pod], byte(i>>16), byte(i>>8), byte(i))
		}
	}
	classes := map[string]*class{}
	for _, pod := range c.Pods {
		key := selecting[pod]
		if classes[string(key)] == nil {
			of := &class{}
			for i := 0; i < len(key); i += 3 {
				of.policies = append(of.policies, c.Policies[int(key[i])<<16|int(key[i+1])<<8|int(key[i+2])])
			}
			classes[string(key)] = of
		}
		pod.class = classes[string(key)]
	}
}

// Selected are the pods that a policy selects.
func (c *Namespace) Selected(policy *Policy) []*Pod {
	if policy.Selected.IsEmpty() {
		return nil
	}
	return c.matching(policy.Selected, connset.Subject)
}

// matching are the pods whose labels meet a box's conditions of a scope.
func (c *Namespace) matching(box connset.Box, scope connset.Scope) []*Pod {
	candidates, all := c.near(box, scope)
	if all {
		return candidates
	}
	return Where(candidates, func(pod *Pod) bool { return box.Match(scope, pod.Labels) })
}

// near are pods among which are those that match, and whether they all do.
func (c *Namespace) near(box connset.Box, scope connset.Scope) (candidates []*Pod, all bool) {
	conditions, candidates := box.Conditions(scope), c.Pods
	if key, values, found := box.Listing(scope); found && len(values) == 1 {
		conditions, candidates = conditions-1, c.labelled[label{key, values[0]}]
	}
	return candidates, conditions == 0
}

// with returns the lists of a namespace with exactly these policies for an AppTier.
func (c *Namespace) with(app string, desired []*networkingv1.NetworkPolicy) World {
	part := World{Services: c.Services, Generated: desired}
	if c.Exists {
		part.Namespaces = []*corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: c.Name, Labels: c.Labels}}}
	}
	for _, pod := range c.Pods {
		part.Pods = append(part.Pods, pod.Pod)
	}
	for i, policy := range c.Policies {
		switch isHandWritten := i < len(c.Policies)-len(c.Generated); {
		case isHandWritten:
			part.Policies = append(part.Policies, policy.NetworkPolicy)
		case policy.Labels[v1alpha1.LabelAppTier] != app:
			part.Generated = append(part.Generated, policy.NetworkPolicy)
		}
	}
	return part
}

// PodLabels are the labels that pods of namespaces have, some more than once.
func PodLabels(of ...*Namespace) iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		for _, c := range of {
			for l := range c.labelled {
				if !yield(l.key, l.value) {
					return
				}
			}
		}
	}
}

// NamespaceLabels are the labels of the namespaces that are known to exist.
func (v *View) NamespaceLabels(yield func(key, value string) bool) {
	for _, c := range v.Namespaces {
		if !c.Exists {
			continue
		}
		for key, value := range c.Labels {
			if !yield(key, value) {
				return
			}
		}
	}
}

// Pod is a pod, with precomputed answers.
type Pod struct {
	*corev1.Pod
	// In is its namespace.
	In *Namespace
	// OnNode says that the pod is on its node's network.
	OnNode    bool
	Addresses []netip.Addr
	Ports     []corev1.ContainerPort
	// Named are the ports that have names, in a form to compare.
	Named string
	class *class
}

// class is a set of policies, for the pods that exactly these select.
type class struct{ policies []*Policy }
