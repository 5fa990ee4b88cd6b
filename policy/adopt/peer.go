package adopt

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
)

// peer is the other end of connections, in one form for all that mean the same.
type peer struct {
	// Namespaces is nil for the policy's own namespace; pods is set where it is about pods. Neither is for a block, nor
	// for everyone.
	namespaces, pods *metav1.LabelSelector
	block            *networkingv1.IPBlock
	key              string
	// box holds all connections with it.
	box connset.Box
}

func (p peer) isEveryone() bool { return p.pods == nil && p.block == nil }

// contains says whether every end that is one of another peer is one of this.
func (p peer) contains(q peer) bool {
	return p.key == q.key || len(q.box.Minus(p.box)) == 0
}

func everyone() peer { return peer{key: "everyone", box: connset.Everything()} }

// readPeer reads a peer of a policy in a namespace.
func readPeer(namespace string, of networkingv1.NetworkPolicyPeer) (peer, error) {
	isSelector := of.PodSelector != nil || of.NamespaceSelector != nil
	switch {
	case of.IPBlock != nil && !isSelector:
		return readBlock(of.IPBlock)
	case of.IPBlock != nil:
		return peer{}, errors.New("ipBlock and a selector are in one peer")
	case !isSelector:
		return peer{}, errors.New("a peer says nothing")
	}
	p := peer{pods: &metav1.LabelSelector{}}
	var err error
	if of.PodSelector != nil {
		if p.pods, err = readSelector(of.PodSelector); err != nil {
			return peer{}, err
		}
	}
	if of.NamespaceSelector != nil {
		if p.namespaces, err = readSelector(of.NamespaceSelector); err != nil {
			return peer{}, err
		}
	}
	return podsPeer(namespace, p.namespaces, p.pods)
}

// podsPeer is the pods of some labels, as seen from a namespace.
func podsPeer(namespace string, namespaces, pods *metav1.LabelSelector) (peer, error) {
	p := peer{namespaces: namespaces, pods: pods}
	if own := named(namespace); p.namespaces != nil && textOf(p.namespaces) == textOf(own) {
		p.namespaces = nil
	}
	p.key = textOf(struct{ Namespaces, Pods *metav1.LabelSelector }{p.namespaces, p.pods})
	var err error
	p.box = connset.Everything().WhereNamespace(namespace)
	if p.namespaces != nil {
		if p.box, err = connset.Everything().WhereSelected(connset.Namespace, p.namespaces); err != nil {
			return peer{}, err
		}
	}
	p.box, err = p.box.WhereSelected(connset.Peer, p.pods)
	p.box.Kinds &= connset.Pods
	return p, err
}

// named selects the namespace of a name: the API server labels each with it.
func named(namespace string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}}
}

func readBlock(of *networkingv1.IPBlock) (peer, error) {
	cidr, err := kube.ParseCIDR(of.CIDR)
	if err != nil {
		return peer{}, err
	}
	block := &networkingv1.IPBlock{CIDR: cidr.String()}
	for _, text := range of.Except {
		except, err := kube.ParseCIDR(text)
		if err != nil {
			return peer{}, err
		}
		if cidr.Bits() >= except.Bits() || !cidr.Contains(except.Addr()) {
			return peer{}, fmt.Errorf("the exception %s is not within %s", text, of.CIDR)
		}
		block.Except = append(block.Except, except.String())
	}
	slices.Sort(block.Except)
	block.Except = slices.Compact(block.Except)
	box := connset.Everything()
	addresses, _ := connset.BlockAddresses(block)
	box.Addresses = addresses
	return peer{block: block, key: textOf(block), box: box}, nil
}

// readSelector returns a selector in one form for all that are written differently and mean the same.
func readSelector(of *metav1.LabelSelector) (*metav1.LabelSelector, error) {
	if _, err := metav1.LabelSelectorAsSelector(of); err != nil {
		return nil, fmt.Errorf("a selector cannot be read: %w", err)
	}
	out := &metav1.LabelSelector{}
	add := func(key, value string) bool {
		if has, found := out.MatchLabels[key]; found {
			return has == value
		}
		if out.MatchLabels == nil {
			out.MatchLabels = map[string]string{}
		}
		out.MatchLabels[key] = value
		return true
	}
	for key, value := range of.MatchLabels {
		add(key, value)
	}
	for _, r := range of.MatchExpressions {
		if r.Operator == metav1.LabelSelectorOpIn && len(r.Values) == 1 && add(r.Key, r.Values[0]) {
			continue
		}
		r.Values = slices.Compact(slices.Sorted(slices.Values(r.Values)))
		out.MatchExpressions = append(out.MatchExpressions, r)
	}
	slices.SortFunc(out.MatchExpressions, func(a, b metav1.LabelSelectorRequirement) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Operator, b.Operator), slices.Compare(a.Values, b.Values))
	})
	return out, nil
}

func isEmptySelector(s *metav1.LabelSelector) bool {
	return len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 0
}

// textOf is a text that is the same for values of the same meaning.
func textOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil { // plain data always marshals
		panic(fmt.Sprintf("marshalling %T: %v", v, err))
	}
	return string(text)
}

// declared is the peer as an AppTier of a namespace has it.
func (p peer) declared(namespace string) v1alpha1.Peer {
	switch {
	case p.block != nil:
		return v1alpha1.Peer{Networks: &v1alpha1.NetworksPeer{CIDRs: []string{p.block.CIDR}, Except: p.block.Except}}
	case p.isEveryone():
		return v1alpha1.Peer{Everyone: &v1alpha1.EveryonePeer{}}
	case !isEmptySelector(p.pods):
		return v1alpha1.Peer{Pods: &v1alpha1.PodsPeer{NamespaceSelector: p.namespaces, PodSelector: *p.pods}}
	case p.namespaces == nil:
		return v1alpha1.Peer{Namespaces: named(namespace)}
	case isEmptySelector(p.namespaces): // which a peer may not be, and every namespace has a name
		return v1alpha1.Peer{Namespaces: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpExists},
		}}}
	default:
		return v1alpha1.Peer{Namespaces: p.namespaces}
	}
}
