package netpol

import "github.com/apptier/apptier/policy/lint/check"

// HostNetwork is found where pods on their node's network are neither selected nor matched.
var HostNetwork = register(check.Check{
	ID: "host-network", Severity: check.Warn, About: check.OfBoth,
	Title: "Pods on their node's network",
	Text: `A pod on its node's network is the node to every policy: nothing isolates it, and selectors do not match it.
Reported when all the pods that are selected, or that a peer matches, are such pods.`,
	TierFix: "use the peer nodes: {}",
})
