// Package ipset keeps the members of sets of addresses in sync with a cluster's pods and namespaces:
// which pods a selector selects, which pod owns an address, and which number a port name means. It holds
// no set itself: it reports each member that a set gains or loses to a Listener. It is pure, and its
// reports add up to the same for any order of objects and sets.
//
//	 SetNamespace    Compare, Apply                          UpdateSet, DeleteSet
//	       |               |                                         |
//	       v               v                                         v
//	+------------+    +---------+    +-------------+          +-------------+
//	| namespaces |--->|  pods   |--->|  ownership  |          |    sets     |
//	|   labels   |    | labels, |    | whose is an |--------->| attached to |
//	+------------+    |  ports  |    |   address   |  only    |  selectors  |
//	       |          +---------+    +-------------+  owned   |  and ports  |
//	       |             |   |                      addresses +-------------+
//	       v             v   |                                   ^     |
//	+----------------------+ |  pods that it selects             |     |
//	|    selector index    |-|-----------------------------------+     |
//	+----------------------+ |                                   |     |
//	       |                 v                                   |     |
//	       |          +-------------+  pods that name it         |     |
//	       |          | named ports |----------------------------+     |
//	       |          +-------------+                                  |
//	       v                 |                                         v
//	+----------------------+ |                              AddMember, RemoveMember
//	|        counts        |<+                                 (Listener)
//	+----------------------+
//	       |
//	       v
//	how many addresses a selector or a port name matches, with or without a set
//
// A pod is compared only with the selectors that may match its namespace, and is a member with the
// addresses that it owns. In a set of several selectors, which may overlap, an address is a member while
// one of them selects it.
package ipset
