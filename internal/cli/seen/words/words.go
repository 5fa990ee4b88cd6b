// Package words says connections that nodes saw in a line, for the plugin and the demo.
package words

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// Line says a connection in a line, without the time.
func Line(c connections.Connection) string {
	return fmt.Sprintf("%s → %s %s %s ×%d", endWords(c.Source), endWords(c.Destination), portWords(c), verdictWords(c), c.Count)
}

// endWords name an end: its pod and tier, or its address.
func endWords(e connections.End) string {
	switch {
	case e.Pod == "":
		return e.Address
	case e.Tier != "":
		return fmt.Sprintf("%s (tier %s)", podName(e), e.Tier)
	default:
		return podName(e)
	}
}

func podName(e connections.End) string { return e.Namespace + "/" + e.Pod }

// Pair is what pods of a workload have in common.
func Pair(e connections.End) string {
	return cmp.Or(e.Namespace+"/"+cmp.Or(e.Workload, e.Pod), e.Address)
}

func portWords(c connections.Connection) string {
	if c.Port == 0 {
		return string(c.Protocol)
	}
	return fmt.Sprintf("%s %d", c.Protocol, c.Port)
}

func verdictWords(c connections.Connection) string {
	switch c.Verdict {
	case connections.Allowed:
		if c.Reason == connections.ReasonDeniedElsewhere {
			return "allowed by one node, denied by another"
		}
		return "allowed"
	case connections.WouldDeny:
		return "would be denied by " + decidingWords(c) + ", staged"
	default:
		if c.Direction == "" {
			return "denied: " + reasonWords(c.Reason)
		}
		return "denied by " + decidingWords(c)
	}
}

// decidingWords name what decided: the tier, or else the policies, or else the pod.
func decidingWords(c connections.Connection) string {
	side := decidingSide(c)
	direction := strings.ToLower(string(c.Direction))
	switch {
	case direction == "":
		return "policies"
	case side.Tier != "":
		return direction + " of tier " + side.Tier
	case len(c.Because) > 0:
		return direction + " of " + policiesWords(c)
	case side.Pod != "":
		return direction + " of " + podName(side)
	default:
		return direction
	}
}

// policiesWords name the first policy, which for what would be denied is a staged one, and count the others.
func policiesWords(c connections.Connection) string {
	named := c.Because[0]
	for _, policy := range c.Because {
		if c.Verdict == connections.WouldDeny && named.Kind != stagedKind && policy.Kind == stagedKind {
			named = policy
		}
	}
	text := named.Kind + " " + named.Name
	if others := len(c.Because) - 1; others > 0 {
		text += fmt.Sprintf(" and %d more", others)
	}
	return text
}

const stagedKind = "StagedNetworkPolicy"

// reasonWords say why packets are dropped that no policy decided about: by the reasons of the enforcer's metric.
func reasonWords(reason string) string {
	known := map[string]string{
		"spoofed":     "the source is not the pod's own address",
		"unknown_pod": "the pod was not known yet",
		"untracked":   "it is part of no known connection",
		"unroutable":  "only a bridge passes on such an address",
		"undecided":   "the rules were being changed",
	}
	return cmp.Or(known[reason], reason, "not allowed")
}

// Explain is what to run to see why. Of a protocol that policies do not know, it explains the pods of the side that decided.
func Explain(c connections.Connection) string {
	if !slices.Contains(askable, c.Protocol) {
		return "kubectl apptier explain " + endArgument(decidingSide(c))
	}
	command := []string{"kubectl apptier explain", endArgument(c.Source), endArgument(c.Destination)}
	if c.Port != 0 {
		command = append(command, fmt.Sprintf("--port %d", c.Port))
	}
	if c.Protocol != corev1.ProtocolTCP {
		command = append(command, "--protocol "+string(c.Protocol))
	}
	return strings.Join(command, " ")
}

// askable are the protocols that NetworkPolicies know.
var askable = []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}

// lasting are the kinds of workloads that stay while their pods come and go, of those that explain knows. A Job goes too.
var lasting = []string{"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "CronJob"}

// endArgument names an end for explain, by what is still there when the pod is gone, if there is such a thing: the workload,
// or else the tier.
func endArgument(e connections.End) string {
	kind, name, _ := strings.Cut(e.Workload, "/")
	switch {
	case e.Pod == "":
		return e.Address
	case slices.Contains(lasting, kind):
		return e.Namespace + "/" + strings.ToLower(kind) + "/" + name
	case e.Tier != "":
		return e.Namespace + "/tier/" + e.AppTier + "/" + e.Tier
	default:
		return podName(e)
	}
}

// OnlyPods are the ends that Explain names by their pods: without these, what it says to run has no answer.
func OnlyPods(c connections.Connection) []connections.End {
	ends := []connections.End{c.Source, c.Destination}
	if !slices.Contains(askable, c.Protocol) {
		ends = []connections.End{decidingSide(c)}
	}
	return slices.DeleteFunc(ends, func(e connections.End) bool { return e.Pod == "" || endArgument(e) != podName(e) })
}

// Gone says that what would be explained is not there any more.
func Gone(e connections.End) string {
	return "pod " + podName(e) + " is gone, and was of no workload or tier that is left: nothing can be explained"
}

// decidingSide is the end whose policies decided.
func decidingSide(c connections.Connection) connections.End {
	if c.Direction == connections.Egress {
		return c.Source
	}
	return c.Destination
}

// Missing says what a list does not have.
func Missing(m connections.Missing) string {
	text := "not seen: "
	if m.Node != "" {
		text += "node " + m.Node + ": "
	}
	text += m.Reason
	if m.Count > 0 {
		text += fmt.Sprintf(" (%d)", m.Count)
	}
	return text
}

// Note says what was not asked about.
func Note(note string) string { return "note: " + note }
