package adopt

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Why a policy for every pod of a namespace stays.
const (
	whyOneDirection = "spec.policyTypes: for every pod of a namespace an AppTier isolates both directions, and these policies isolate one"
	whyEveryPod     = "spec.podSelector: its rules are for every pod of the namespace, and those of an AppTier are for its tiers"
	whySame         = "spec.podSelector: it opens the namespace to itself, which an AppTier does in both directions at once, and " +
		"beside no tier that isolates ingress"
	whyDNS = "spec.egress: an AppTier cannot say just these servers of DNS for every pod"
)

// everyPod is what policies say of every pod of a namespace, as far as an AppTier can.
type everyPod struct {
	*subject
	sameNamespace bool
}

func (e *everyPod) isolates() bool { return e != nil && e.subject != nil }

// everyPodOf reads the policies for every pod of a namespace beside those for some. What has to stay is noted.
func (p *proposal) everyPodOf(policies []*read, others []*subject) *everyPod {
	var base, dns, same []*read
	for _, policy := range policies {
		switch {
		case len(policy.allows[ingress])+len(policy.allows[egress]) == 0:
			base = append(base, policy)
		case p.isDNSOnly(policy):
			dns = append(dns, policy)
		case p.isSameNamespace(policy):
			same = append(same, policy)
		default:
			p.stay(policy.policy, whyEveryPod)
		}
	}
	perimeter := len(same) > 0 && areOpen(same) && !areIsolated(others)
	if !perimeter {
		p.stayAll(same, whySame)
		same = nil
	}
	for _, of := range [][]*read{slices.Concat(base, dns, same), slices.Concat(base, same)} {
		found := p.in.subjectsOf(of)
		if len(found) == 0 || !found[0].isolates[ingress] || !found[0].isolates[egress] {
			continue
		}
		every := &everyPod{subject: found[0], sameNamespace: perimeter}
		if perimeter {
			for _, direction := range directions {
				every.allows[direction].remove(everyPodHere(every.namespace), ports{all: true})
			}
		}
		if len(p.in.resolversOf(&draft{namespace: every.namespace, every: every.subject})) > 0 {
			if len(of) < len(base)+len(dns)+len(same) {
				p.stayAll(dns, whyDNS)
			}
			return every
		}
	}
	p.stayAll(slices.Concat(base, dns, same), whyOneDirection)
	return nil
}

func everyPodHere(namespace string) peer {
	p, _ := podsPeer(namespace, nil, &metav1.LabelSelector{}) // which can be read
	return p
}

// isSameNamespace says whether a policy allows nothing but pods of the namespace, on every port, and DNS.
func (p *proposal) isSameNamespace(policy *read) bool {
	here := everyPodHere(policy.policy.Namespace)
	for _, direction := range directions {
		for key, one := range policy.allows[direction] {
			isHere := key == here.key && one.ports.all
			if !isHere && (direction == ingress || !p.in.isDNS(policy.policy.Namespace, one)) {
				return false
			}
		}
	}
	return true
}

// areOpen says whether policies open their namespace to itself in both directions.
func areOpen(policies []*read) bool {
	open := map[networkingv1.PolicyType]bool{}
	for _, policy := range policies {
		here := everyPodHere(policy.policy.Namespace)
		for _, direction := range directions {
			open[direction] = open[direction] || policy.allows[direction][here.key].ports.all
		}
	}
	return open[ingress] && open[egress]
}

func areIsolated(subjects []*subject) bool {
	for _, s := range subjects {
		if s.isolates[ingress] {
			return true
		}
	}
	return false
}

// isDNSOnly says whether a policy allows nothing but what can be DNS.
func (p *proposal) isDNSOnly(policy *read) bool {
	for _, one := range policy.allows[egress] {
		if !p.in.isDNS(policy.policy.Namespace, one) {
			return false
		}
	}
	return len(policy.allows[ingress]) == 0
}

// isDNS says whether an allowance can be for DNS: on the ports of it, or for the cluster's servers on theirs.
func (in *Input) isDNS(namespace string, one allowance) bool {
	if dnsPorts.contains(one.ports) {
		return true
	}
	for _, of := range in.clusterDNS(namespace, clusterDNSAlone) {
		if of.peer.key == one.peer.key && of.ports.contains(one.ports) {
			return true
		}
	}
	return false
}

var dnsPorts = portsOf(span{corev1.ProtocolUDP, 53, 53}, span{corev1.ProtocolTCP, 53, 53})
