// Package rule has one form for every kind of policy: rules with an action.
//
// Code that judges traffic, or compiles policies, uses this form. A kind of policy is a reader that makes rules (package
// policy/kube has the one for NetworkPolicies, and policy/reach one of its own), so code that uses rules needs no case for
// it.
//
// # How rules decide
//
// Each end of a connection is judged on its own: the source by egress rules, the destination by ingress rules, and
// both must allow it. The rules of an end are the rules of the policies that select it. They are evaluated tier by tier,
// and within a tier by their order; the first rule of a tier whose peers and ports match decides by its action:
//
//	Allow  the connection passes at this end
//	Deny   it does not
//	Pass   the next tier decides
//	Audit  it would be denied if the policies of this tier were enforced: this is noted, and the next tier decides
//
// A connection that no rule matches passes at this end.
//
// # NetworkPolicies as rules
//
// A NetworkPolicy applies to a direction if it has rules there. Its rules allow, with order 0. Its isolation is a rule
// too: it denies everyone on every port, with order 1. So a connection that any rule allows is allowed, and the rest is
// denied, as networking.k8s.io/v1 defines.
//
// # What cannot be read
//
// Such a peer or port is the zero value, which matches nothing, and a [Problem] says what is wrong with it. So a mistake
// in a rule that allows fails closed. A reader of rules that deny must do the opposite.
package rule
