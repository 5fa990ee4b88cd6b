package webhooks

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	netutils "k8s.io/utils/net"

	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
)

// ratchet turns a refusal into a warning if the object before the change had the same finding at the same
// place: a check that is newer than the object must not prevent other changes. It calls before only if
// something is refused.
func ratchet(now []check.Finding, before func() []check.Finding) []check.Finding {
	if len(check.WithSeverity(now, check.Reject)) == 0 {
		return now
	}
	known := before()
	now = slices.Clone(now)
	for i, finding := range now {
		if finding.Severity == check.Reject && slices.Contains(known, finding) {
			now[i].Severity = check.Warn
		}
	}
	return now
}

// judgeUpdate judges a change of a policy. A widening is refused unless the rules of that direction are unchanged:
// another rule may open more with the same message. The old policy is judged with a work limit of its own: above it,
// every present refusal stays.
func (v NetworkPolicyValidator) judgeUpdate(old, policy *networkingv1.NetworkPolicy, work, workBefore *check.Work) []check.Finding {
	index := v.Cluster.current()
	before := func(of *networkingv1.NetworkPolicy) func() []check.Finding {
		return func() []check.Finding {
			return slices.DeleteFunc(lint.JudgePolicy(index, of, workBefore),
				func(f check.Finding) bool { return f.Check == netpol.Widens && !opensTheSame(old, policy, f) })
		}
	}
	findings := ratchet(lint.JudgePolicy(index, policy, work), before(old))
	if len(check.WithSeverity(findings, check.Reject)) > 0 ||
		!slices.ContainsFunc(findings, func(f check.Finding) bool { return f.Check == netpol.Invalid }) {
		return findings
	}
	// A policy that cannot be read is not judged further; a stored one is judged as enforcers read it.
	return append(findings, ratchet(lint.JudgePolicy(index, asRead(policy), work), before(asRead(old)))...)
}

func opensTheSame(old, policy *networkingv1.NetworkPolicy, finding check.Finding) bool {
	if !equality.Semantic.DeepEqual(old.Spec.PodSelector, policy.Spec.PodSelector) {
		return false
	}
	if finding.Path.Within("spec.ingress") {
		return equality.Semantic.DeepEqual(old.Spec.Ingress, policy.Spec.Ingress)
	}
	return equality.Semantic.DeepEqual(old.Spec.Egress, policy.Spec.Egress)
}

// asRead rewrites the address ranges of a policy as enforcers read them. Before Kubernetes 1.36 the API server
// accepted bits beyond the prefix, leading zeros, and IPv4 as IPv6.
func asRead(policy *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	policy = policy.DeepCopy()
	read := func(text *string) {
		if _, cidr, err := netutils.ParseCIDRSloppy(*text); err == nil {
			*text = cidr.String()
		}
	}
	peers := func(peers []networkingv1.NetworkPolicyPeer) {
		for _, peer := range peers {
			if peer.IPBlock == nil {
				continue
			}
			read(&peer.IPBlock.CIDR)
			for i := range peer.IPBlock.Except {
				read(&peer.IPBlock.Except[i])
			}
		}
	}
	for _, rule := range policy.Spec.Ingress {
		peers(rule.From)
	}
	for _, rule := range policy.Spec.Egress {
		peers(rule.To)
	}
	return policy
}
