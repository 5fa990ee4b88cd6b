// Package rule is what a policy says about traffic, in one form for every kind of policy: rules with an action.
//
// Whoever judges traffic, or compiles policies for something that does, reads them in this form: a kind of policy is a
// reader that makes rules (package policy/kube has that of NetworkPolicies, and policy/reach one of its own), and no
// case in those that use them.
//
// # How rules decide
//
// Each end of a connection is judged on its own: the source by egress rules, the destination by ingress rules, and
// both must let it pass. Of an end, the rules count whose policy selects it. They are asked tier by tier, and within a
// tier by their order; the first of a tier whose peers and ports match does what its action says:
//
//	Allow  the connection passes at this end
//	Deny   it does not
//	Pass   this tier has nothing to say about it: the next one decides
//	Audit  it would be denied, if the policies of this tier were enforced: that is noted, and the next tier decides
//
// What no rule matches passes at this end.
//
// # NetworkPolicies as rules
//
// A NetworkPolicy is about a direction if it has rules there. Its rules allow, with order 0; and it isolates, which is a
// rule like the others: it denies everyone at every port, with order 1. So what any policy's rule allows is allowed, and
// what is left is denied, as networking.k8s.io/v1 has it.
//
// # What cannot be read
//
// Such a peer or port is the zero value, which matches nothing, and a [Problem] says what is wrong with it. So closed is
// what a mistake makes of a rule that allows. A reader of rules that deny has to see to the opposite.
package rule
