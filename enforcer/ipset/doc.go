// Package ipset keeps the members of sets of addresses in step with a cluster's pods and namespaces:
// which pods a selector selects, whose an address is, and what a name for a port stands for. It holds
// no set itself: a Listener is told of each member that comes or goes. It is pure, and what it tells
// comes to the same whatever order objects and sets came in.
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
//	how many addresses a selector or a port's name stands for, set or not
//
// A pod is held against the selectors that may mean its namespace alone, and is a member as far as it
// owns its addresses. Of a set of several selectors that may overlap, an address is a member as long as
// one of them selects it.
package ipset
