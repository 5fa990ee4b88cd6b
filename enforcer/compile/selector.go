package compile

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/apptier/apptier/enforcer/nft"
)

// selector is a peer that selects pods. Peers that mean the same have the same text, and so share
// their sets.
type selector struct {
	text string
	// namespace is set when the peer means a single namespace by its name.
	namespace  string
	namespaces labels.Selector
	pods       labels.Selector
}

// newSelector parses a peer of a policy in the given namespace.
func newSelector(namespace string, peer networkingv1.NetworkPolicyPeer) (selector, error) {
	s := selector{namespace: namespace, pods: labels.Everything()}
	var err error
	if peer.PodSelector != nil {
		if s.pods, err = metav1.LabelSelectorAsSelector(peer.PodSelector); err != nil {
			return s, fmt.Errorf("podSelector: %w", err)
		}
	}
	if peer.NamespaceSelector == nil {
		s.text = describe("namespace "+namespace, s.pods)
		return s, nil
	}
	if s.namespaces, err = metav1.LabelSelectorAsSelector(peer.NamespaceSelector); err != nil {
		return s, fmt.Errorf("namespaceSelector: %w", err)
	}
	s.namespace = ""
	if text := canonical(s.namespaces); text == "" {
		s.text = describe("any namespace", s.pods)
	} else {
		s.text = describe("namespaces "+text, s.pods)
	}
	return s, nil
}

func describe(where string, pods labels.Selector) string {
	if text := canonical(pods); text != "" {
		return where + " pods " + text
	}
	return where + " all pods"
}

// canonical writes a selector in one way only, whatever the order of its requirements.
func canonical(s labels.Selector) string {
	requirements, _ := s.Requirements()
	texts := make([]string, 0, len(requirements))
	for _, r := range requirements {
		if r.Operator() == selection.In && r.Values().Len() == 1 {
			texts = append(texts, r.Key()+"="+r.Values().UnsortedList()[0])
			continue
		}
		texts = append(texts, r.String())
	}
	slices.Sort(texts)
	return strings.Join(slices.Compact(texts), ",")
}

// selectorSet returns the name of the set that holds the selected pods' addresses of one family, and makes
// sure that it exists.
func (c *compiler) selectorSet(s selector, f family) string {
	readable := strings.NewReplacer("namespaces ", "", "namespace ", "", " pods ", ".", " all pods", "",
		corev1.LabelMetadataName, "ns", "any namespace", "any").Replace(s.text)
	name := hashedName(fmt.Sprintf("pods%d", f), readable, s.text)
	if _, ok := c.table.Sets[name]; !ok {
		c.table.Sets[name] = set(addressType[f], remark(s.text))
		c.eachSelected(s, func(p *pod) {
			for _, address := range p.addresses {
				if familyOf(address.Addr) == f {
					c.table.Sets[name].Elements[address.String()] = nft.Element{}
				}
			}
		})
	}
	return name
}

func (c *compiler) eachSelected(s selector, do func(*pod)) {
	candidates := c.pods.all
	if s.namespaces == nil {
		candidates = c.pods.byNamespace[s.namespace]
	}
	matches := map[string]bool{}
	for _, p := range candidates {
		if s.namespaces != nil {
			ok, known := matches[p.namespace]
			if !known {
				ok = s.namespaces.Matches(c.pods.namespaces[p.namespace])
				matches[p.namespace] = ok
			}
			if !ok {
				continue
			}
		}
		if s.pods.Matches(p.labels) {
			do(p)
		}
	}
}

// blockSet returns the name of the set that holds these ranges, and makes sure that it exists. Its
// content is part of its name, so it never changes: interval sets are slow to.
func (c *compiler) blockSet(f family, spans []span, text string) string {
	content := text
	for _, s := range spans {
		content += " " + s.String()
	}
	name := hashedName(fmt.Sprintf("block%d", f), strings.ReplaceAll(text, ":", "."), content)
	if _, ok := c.table.Sets[name]; !ok {
		s := set(addressType[f], remark(text))
		s.Interval = true
		for _, span := range spans {
			s.Elements[span.String()] = nft.Element{}
		}
		c.table.Sets[name] = s
	}
	return name
}
