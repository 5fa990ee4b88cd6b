package netpol

import "github.com/apptier/apptier/policy/lint/check"

// HostNetwork reports where pods on their node's network are neither selected nor matched.
var HostNetwork = register(check.Check{
	ID: "host-network", Severity: check.Warn, About: check.OfBoth,
	Title: "Pods on their node's network",
	Text: `For policies, a pod on its node's network is the node: nothing isolates it, and selectors do not match it.
Reported if all pods that are selected, or that a peer matches, are such pods.`,
	TierFix: "use the peer nodes: {}",
})
