package nodes

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// heard is what is believed of a node's answer: nobody speaks for another node, or of the future, and what is no name is not
// passed on to people's terminals.
func heard(node string, answer connections.ConnectionList, now time.Time) connections.ConnectionList {
	told := len(answer.Items)
	for i := range answer.Items {
		c := &answer.Items[i]
		c.Node, c.TypeMeta, c.ObjectMeta = node, metav1.TypeMeta{}, metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Name}
		c.Count = min(c.Count, mostCount)
		if c.Verdict == connections.Allowed {
			c.Reason = "" // the manager says it, of what others denied
		}
		for _, at := range []*metav1.MicroTime{&c.First, &c.Last} {
			if at.After(now) { // a clock that is fast, or a lie: what is latest is kept longest
				*at = metav1.NewMicroTime(now.Truncate(time.Microsecond))
			}
		}
		for _, workload := range []*string{&c.Source.Workload, &c.Destination.Workload} {
			if isNoWord(*workload) { // whoever makes the pod chose it; the connection is known all the same
				*workload = ""
			}
		}
	}
	answer.Items = slices.DeleteFunc(answer.Items, func(c connections.Connection) bool { return !isSound(c) })
	for i := range answer.Missing {
		missing := &answer.Missing[i]
		missing.Node, missing.Reason = node, printable(missing.Reason)
		if !isVerdict(missing.Verdict) {
			missing.Verdict = ""
		}
	}
	if strange := told - len(answer.Items); strange > 0 {
		answer.Items = slices.Clone(answer.Items) // not the room of those that are dropped
		answer.Missing = append(answer.Missing, connections.Missing{
			Node: node, Reason: fmt.Sprintf("%s: %d connections", errConfused, strange), Count: int64(strange),
		})
	}
	return answer
}

const (
	// longest is how long a name of an object may be in Kubernetes, and longestLabel that of a tier or an AppTier.
	longest, longestLabel = 253, 63
	// longestProtocol is how long the status of an AppTier takes it.
	longestProtocol = 16
	// mostCount is more than a node sees in a year. Those who sum up counts of all connections of a list cannot overflow by it.
	mostCount = 1 << 48
)

func isVerdict(v connections.Verdict) bool {
	return v == connections.Denied || v == connections.WouldDeny || v == connections.Allowed
}

func isSound(c connections.Connection) bool {
	if !isVerdict(c.Verdict) {
		return false
	}
	switch c.Direction {
	case connections.Egress, connections.Ingress, "":
	default:
		return false
	}
	words := []string{c.Name, c.Namespace, string(c.Direction), c.Reason, string(c.Protocol)}
	for _, end := range []connections.End{c.Source, c.Destination} {
		address, err := netip.ParseAddr(end.Address)
		if err != nil || address.Zone() != "" || end.Pod != "" && end.Namespace == "" {
			return false
		}
		if len(end.AppTier) > longestLabel || len(end.Tier) > longestLabel {
			return false
		}
		words = append(words, end.Namespace, end.Pod, end.Workload, end.AppTier, end.Tier)
	}
	for _, policy := range c.Because {
		if len(policy.AppTier) > longestLabel || len(policy.Tier) > longestLabel {
			return false
		}
		words = append(words, policy.Kind, policy.Name, policy.AppTier, policy.Tier)
	}
	if c.Count < 0 || c.Port < 0 || c.Port > math.MaxUint16 {
		return false
	}
	return c.Name != "" && len(c.Protocol) <= longestProtocol && len(c.Because) <= 10 && !slices.ContainsFunc(words, isNoWord)
}

func isNoWord(text string) bool {
	return len(text) > longest || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// printable is a sentence without what a terminal would obey.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
	return text[:min(len(text), longest)]
}
