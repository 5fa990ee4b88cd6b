// Package bind ties the addresses of pods to the ports of bridges that they send by. It is pure: which ports
// there are, what is inside of the pods and whose it is are arguments; the table that drops the rest is the
// result.
//
// A node that routes needs none of it: the route to a pod's address names the pod's interface (see package
// compile). On a bridge every port may send what it likes: the frames of one pod with another's addresses, and
// answers to ARP and neighbour discovery in another's name, by which the other's traffic comes here.
//
// # Who is behind a port
//
// A port is a pod's if an address that is inside of it is one that the API server or the container runtime
// gave to that pod. Once it is found, this stays so until the port is gone, with the MAC address of that moment:
// a pod with NET_ADMIN may take other addresses later, and its neighbours' before they start. Addresses are bound
// that are both given and there.
//
// # The table
//
// It is of the family bridge, so it judges frames, before br_netfilter and bridges see them:
//
//	source     the port, the frame's MAC and the source address in bound4/6: accept
//	           a pod's port: goto a chain of its own, which knows what neighbour discovery may say there
//	           another port of the kind veth: goto unbound
//	port       ARP, discovery and the rest of a pod's port; what is left is dropped, whatever its type:
//	           frames with VLAN tags, for one, which br_netfilter does not show to the rules of IP
//	unbound    a pod that is not known yet, or no pod: it has no address that is bound elsewhere
//	forward    from such a port to a pod's: ARP and solicitations, else dropped
//	           from a pod's port to another's: what has that pod's address as destination, and discovery
//
// So a port is closed towards pods until it is bound, and what does not concern pods is left alone.
package bind
