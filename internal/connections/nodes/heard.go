package nodes

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// heard is what is believed of a node's answer: nobody speaks for another node, and what is no name is not passed on to
// people's terminals.
func heard(node string, answer connections.ConnectionList) connections.ConnectionList {
	told := len(answer.Items)
	answer.Items = slices.DeleteFunc(answer.Items, func(c connections.Connection) bool { return !isSound(c) })
	for i := range answer.Items {
		answer.Items[i].Node = node
	}
	for i := range answer.Missing {
		missing := &answer.Missing[i]
		missing.Node, missing.Reason = node, printable(missing.Reason)
	}
	if strange := told - len(answer.Items); strange > 0 {
		answer.Missing = append(answer.Missing, connections.Missing{
			Node: node, Reason: fmt.Sprintf("%s: %d connections", errConfused, strange), Count: int64(strange),
		})
	}
	return answer
}

// longest is how long a name of an object may be in Kubernetes.
const longest = 253

func isSound(c connections.Connection) bool {
	switch c.Verdict {
	case connections.Denied, connections.WouldDeny, connections.Allowed:
	default:
		return false
	}
	words := []string{c.Name, c.Namespace, string(c.Direction), c.Reason, string(c.Protocol)}
	for _, end := range []connections.End{c.Source, c.Destination} {
		if _, err := netip.ParseAddr(end.Address); err != nil || end.Pod != "" && end.Namespace == "" {
			return false
		}
		words = append(words, end.Namespace, end.Pod, end.Workload, end.AppTier, end.Tier)
	}
	for _, policy := range c.Because {
		words = append(words, policy.Kind, policy.Name, policy.AppTier, policy.Tier)
	}
	return c.Name != "" && len(c.Because) <= 10 && !slices.ContainsFunc(words, isNoWord)
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
