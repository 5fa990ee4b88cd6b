// Package compile turns the pods, namespaces and policies of a cluster into the ruleset of one
// node. It is pure: the same objects give the same ruleset, byte for byte, in whatever order they
// come, and whatever was there before.
//
// # Parts
//
// An index (package ipset) knows all pods, and puts members into the sets that rules look up. The Compiler tells
// its parts of a change in the order that they depend on each other:
//
//	locals      pods of this node: the policies that isolate them, the groups that follow
//	policies    of all namespaces, read where the namespace has such pods
//	budgets     what policies ask for, and who asks for too much
//	groups      pods under the same policies in a direction: they share a chain
//	chains      the rules of a group (chainBuilder), and the sets that these look up
//	dispatch    from a pod's address to the chains of its groups
//	gate        closes addresses of this node that no known pod has
//
// What a policy says counts once all changes are known (settle): pods are put into groups, policies are
// weighed, and the chains of the groups that are not as they were are written.
//
// # How a packet is judged
//
// Only forwarded packets are looked at: those between a pod and its own node pass through the
// hooks input and output, and are always allowed (API conventions of NetworkPolicy, see package
// policy/reach). A packet is judged by its connection: the initiator is the source of conntrack's
// original tuple, the server is the source of its reply tuple. That is after the translation of a
// service's address and before that of the source, and it is the same for packets of both
// directions, so a reply is never taken for a connection of the pod that answers.
//
//	forward   stamped with the present generation, and not related: accept
//	          from a pod to the port of a tunnel between nodes, here or in the hook input: drop
//	          an ICMP error of a pod about a connection of others: drop
//	          else jump judge, and what comes back is dropped
//	judge     a pod to itself, or to its own node: accept
//	          either end in range4/6 but not in known4/6: drop
//	          initiator in egress4/6: goto the chain of its group
//	          server in ingress4/6:   goto the chain of its group
//	          else no policy is concerned: accept
//	ingress   where a group's egress chain continues when it allows: server in ingress4/6?
//	admit     stamp the connection and accept
//
// A group's chain has the rules of its policies. Where many of them share their ports, their peers are
// one set; where they have many ports, verdict maps lead from a port to a chain of the rules for it. What
// policies may ask for is bounded: see Limit.
//
// To allow is always explicit, "goto ingress" or "goto admit": whatever falls off the end of a
// chain returns to forward and is dropped. This holds even for a packet that is halfway through
// while a new ruleset is committed: sets change at once, chains for the next packet only, so it may
// enter a chain that is still empty for it.
//
// # Staged policies
//
// They are asked about what passes, once, before it is stamped; and where there are none, no packet is led to them:
//
//	admit          jump audit first
//	audit          a pod to itself, or to its own node: return
//	               initiator in staged-egress4/6: goto the chain of its group
//	               server in staged-ingress4/6:   goto the chain of its group
//	audit-ingress  where a group's egress chain continues when it allows
//	audited        return
//
// A staged group is of the pods that the same policies would isolate: the staged ones, and those enforced ones that no
// staged one stands for by its name. Its chain is as others are, but what falls off its end is counted
// (would-deny-egress, would-deny-ingress), and returns. So no rule of theirs can drop a packet. They have a budget of
// their own; above it nothing is counted. A change of the rules has live connections judged again, and counted again.
//
// # What is recorded
//
// A chain denied-X, and would-deny-X, counts its packets and records their connections, in dynamic sets that are bounded,
// whose elements count and end after a while (Records):
//
//	count; initiator . server . protocol . port in denied-X4/6, which counts it: drop
//	the end has not had too much that is new lately, and there is space: record it, drop
//	else count it as missed, drop
//
// A chain denied-X-port does so for packets to a port. With RecordAllowed the chain allowed does it for new connections
// that pass, before they are stamped. What these sets hold is not part of the ruleset, and changes no verdict. Nothing of it
// is on the way of a stamped connection.
//
// # To observe only
//
// With Observe the chains denied-X end with accept, nothing is stamped, and connections are judged when they begin: beside
// another that enforces. Packets are looked at before it may drop them.
//
// # The gate
//
// An address of this node's pod ranges (node.spec.podCIDRs) is closed until a pod is known to have
// it: the pod may be under policies. Nothing is closed between the node and its pods, known or not,
// for that is never forwarded. A node without ranges has no gate.
//
// # The stamp
//
// A connection that was judged and allowed carries the generation in the masked bits of its ct
// mark. Every change of the ruleset comes with another generation, in the same transaction, so all
// live connections are judged once more on their next packet.
package compile
