// Package compile translates the pods, namespaces and policies of a cluster into the nftables ruleset of one node. It is
// pure. The ruleset depends only on the current objects: neither the order of events nor earlier objects change a byte.
//
// # Parts
//
// An index (package ipset) knows all pods, and maintains the members of the sets that rules look up. The Compiler passes
// a change to its parts in the order of their dependencies:
//
//	locals      the pods of this node, with the policies that isolate them and the groups they are in
//	policies    the policies of all namespaces; decoded only if the namespace has pods on this node
//	budgets     the number of addresses that policies use, and which policies exceed a limit
//	groups      pods that the same policies isolate in one direction; a group has one chain
//	chains      the rules of each group (chainBuilder), and the sets that they look up
//	dispatch    the maps from a pod's address to the chains of its groups
//	gate        drops packets for addresses of this node that no known pod has
//
// A change of a policy takes effect in settle, after all pending changes are known. settle assigns pods to groups, weighs
// the policies, and rewrites the chains of the groups that have changed.
//
// # How a packet is judged
//
// Only forwarded packets are judged. Packets between a pod and its own node pass the hooks input and output instead, and
// are always allowed, as the API of NetworkPolicy requires (see package policy/reach). A packet is judged by its
// connection. The initiator is the source of conntrack's original tuple. The server is the source of its reply tuple:
// the destination after DNAT, which replaces the address of a Service, and not affected by SNAT. Both are the same for
// packets of either direction, so a reply is never judged as a connection of the pod that answers.
//
//	forward   stamped with the current generation, and not related: accept
//	          from a pod to the port of a tunnel between nodes (also in the hook input): drop
//	          an ICMP error from a pod about a connection of others: drop
//	          else: jump judge, and drop what returns
//	judge     a pod to itself, or to its own node: accept
//	          either end in range4/6 but not in known4/6: drop
//	          initiator in egress4/6: goto the chain of its group
//	          server in ingress4/6: goto the chain of its group
//	          else no policy applies: accept
//	ingress   entered when the egress chain of a group allows: server in ingress4/6?
//	admit     stamp the connection and accept
//
// The chain of a group holds the rules of its policies. If many rules have the same ports, their peers are merged into
// one set. If rules have many ports, a verdict map leads from each port to the chain with the rules for it. The size of
// policies is limited: see Limit.
//
// Rules allow explicitly, by "goto ingress" or "goto admit". A packet that reaches the end of a chain returns to forward,
// where it is dropped. This also holds for a packet in flight while a new ruleset is committed. Set elements change for
// that packet at once, but rules only for the next packet, so it may enter a chain that is still empty for it.
//
// # Staged policies
//
// Staged policies are evaluated once for each connection that passes, before it is stamped. Without staged policies no
// packet reaches these chains:
//
//	admit          jump audit first
//	audit          a pod to itself, or to its own node: return
//	               initiator in staged-egress4/6: goto the chain of its group
//	               server in staged-ingress4/6: goto the chain of its group
//	audit-ingress  entered when the egress chain of a group allows
//	audited        return
//
// A staged group contains the pods that the same policies would isolate if the staged policies were enforced: the staged
// policies, and the NetworkPolicies without a staged policy of the same name. Its chain is built like any other, but a
// packet that reaches the end is counted (would-deny-egress, would-deny-ingress) and returns. A staged rule therefore
// cannot drop a packet. Staged policies have a budget of their own, and are not evaluated above it. After a change of the
// ruleset, live connections are judged again, and counted again.
//
// # Recorded connections
//
// The chains denied-X and would-deny-X count their packets, and record their connections in dynamic sets. These sets are
// bounded, and their elements have a counter and a timeout (see Records):
//
//	count; initiator . server . protocol . port is in denied-X4/6, which counts it: drop
//	the rate of new elements for this end is below its limit, and there is space: record it, drop
//	else: count it as missed, drop
//
// The chain denied-X-port does the same for packets to a port. With RecordAllowed, the chain allowed does it for new
// connections that pass, before they are stamped. The elements of these sets are not part of the ruleset, and never
// change a verdict. Packets of stamped connections do not pass these chains.
//
// # Observe mode
//
// With Observe, the chains denied-X end with accept, and no connection is stamped. Each connection is judged once, when
// it begins. The hook has a priority before that of another enforcer on the node, so that packets are seen before the
// other one can drop them.
//
// # The gate
//
// An address in the pod ranges of this node (node.spec.podCIDRs) is closed until a known pod has it, because that pod may
// be isolated. Traffic between the node and its pods is never closed, since it is not forwarded. A node without ranges
// has no gate.
//
// # The stamp
//
// A connection that was judged and allowed carries the current generation in the masked bits of its ct mark. Every change
// of the ruleset sets another generation in the same transaction. The next packet of each live connection is then judged
// again.
package compile
