package lint

import (
	"fmt"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/api/v1alpha1"
)

// Widens is found where a policy opens what an AppTier closes.
const Widens ID = "widening"

func init() {
	register(Check{
		ID: Widens, Severity: Reject, About: ofPolicies,
		Title: "Opens what an AppTier closes",
		Text: `Policies only ever add, so a NetworkPolicy that selects pods of an AppTier can let in what the AppTier
keeps out, and nothing that the AppTier says takes it back. This is decided for every peer that could exist, not
only for those that do, and for every pod that the policy selects and the AppTier isolates. Declare the connection in the AppTier. If it is meant to
stay beside it, annotate the policy with ` + "`policy.apptier.dev/allow-widening: \"the reason\"`" + `, which makes it a warning.
Where labels, addresses or the number behind a port's name decide and are not known, it says so in a warning. At
admission, an AppTier that such a policy would open is refused for the same reason: what is refused does not
depend on which of the two comes first.`,
		Policy: checkWidening, ByItself: true,
	})
}

// AllowWidening is the annotation of a NetworkPolicy that opens on purpose what an AppTier closes.
// Its value says why.
const AllowWidening = "policy.apptier.dev/allow-widening"

// checkWidening refuses what opens an AppTier from outside: policies only ever add, so that nothing
// the AppTier says could take it back.
func checkWidening(r *report, v *view) {
	for w := range v.widenings {
		path := clausePath(w.Direction, w.Clause)
		reason := strings.TrimSpace(v.policy.Annotations[AllowWidening])
		severity := Reject
		if w.Unknown != "" || reason != "" {
			severity = Warn
		}
		if r.isFull(Widens, severity, path) {
			if severity == Reject {
				return
			}
			continue // what is to be refused may come yet
		}
		if w.Unknown != "" {
			r.add(Widens, Warn, path, "write it so that it can be decided: namespaces by name, ports by number", "whether this opens what an AppTier closes is not known: %s", w.Unknown)
			continue
		}
		message := fmt.Sprintf("would let %s; %s", v.deed(w), v.instead(w))
		if reason != "" {
			r.add(Widens, Warn, path, "declare it in the AppTier, if it is to stay", "%s; the annotation %s gives as reason: %s", message, AllowWidening, reason)
			continue
		}
		r.find(Widens, path, fmt.Sprintf("declare it in AppTier %s, remove it here, or annotate the policy with %s: the reason", appName(w), AllowWidening), "%s", message)
	}
}

// deed says who would reach whom.
func (v *view) deed(w Widening) string {
	subject, other := subjectWords(v.policy.Namespace, w), v.otherWords(w)
	if w.Direction == ingress {
		return fmt.Sprintf("%s reach %s on %s", other, subject, portWords(w.Port))
	}
	return fmt.Sprintf("%s reach %s on %s", subject, other, portWords(w.Port))
}

func subjectWords(namespace string, w Widening) string {
	if w.SubjectPod != nil {
		return podWords(w.SubjectPod)
	}
	for _, g := range w.By {
		if tier := g.Labels[v1alpha1.LabelTier]; tier != "" {
			return fmt.Sprintf("a pod of tier %s of namespace %s", tier, namespace)
		}
	}
	return "a pod of namespace " + namespace
}

// otherWords names the other end as the policy does, with an example that it may be.
func (v *view) otherWords(w Widening) string {
	words := peerWords(v.policy.Namespace, peerOf(w.Direction, w.Clause))
	switch {
	case w.PeerPod != nil:
		return fmt.Sprintf("%s (for example %s)", words, podWords(w.PeerPod))
	case !w.IsPod:
		return fmt.Sprintf("%s (for example %s)", words, w.Address)
	case len(w.Peer) > 0:
		return fmt.Sprintf("%s (for example one labelled %s)", words, labelWords(w.Peer))
	default:
		return words
	}
}

// instead says what the AppTiers allow on this port.
func (v *view) instead(w Widening) string {
	var allowed []string
	for _, g := range v.here.generated {
		if !slices.Contains(w.By, g.NetworkPolicy) {
			continue
		}
		for _, clause := range g.clauses(w.Direction) {
			if v.work.spend(1) && clause.Box.Ports.Contains(w.Port) {
				allowed = append(allowed, v.tierWords(peerOf(w.Direction, clause)))
			}
		}
	}
	switch {
	case len(allowed) == 0 && w.Direction == ingress:
		return fmt.Sprintf("AppTier %s lets nobody connect to it on this port", appName(w))
	case len(allowed) == 0:
		return fmt.Sprintf("AppTier %s lets it connect to nothing on this port", appName(w))
	default:
		return fmt.Sprintf("AppTier %s allows only %s", appName(w), listWords(allowed))
	}
}

// tierWords names a peer of a generated policy as the AppTier does, if it is a tier.
func (v *view) tierWords(peer *networkingv1.NetworkPolicyPeer) string {
	if peer != nil && peer.PodSelector != nil && peer.NamespaceSelector == nil {
		for _, g := range v.here.generated {
			v.work.spend(1)
			tier := g.Labels[v1alpha1.LabelTier]
			if tier != "" && selectorWords(&g.Spec.PodSelector) == selectorWords(peer.PodSelector) {
				return "tier " + tier
			}
		}
	}
	return peerWords(v.policy.Namespace, peer)
}

func appName(w Widening) string {
	var names []string
	for _, g := range w.By {
		names = append(names, g.Labels[v1alpha1.LabelAppTier])
	}
	return listWords(slices.Compact(names))
}
