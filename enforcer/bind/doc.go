// Package bind binds the addresses of pods to the bridge ports that they send from. It is pure: the ports, the
// contents of the pods and their owners are arguments; the result is the table that drops the rest.
//
// A node that routes does not need it: the route to a pod's address names the pod's interface (see package
// compile). On a bridge a port may send anything: frames with another pod's addresses, and answers to ARP and
// neighbour discovery for another pod, which attract the other's traffic.
//
// # Who is behind a port
//
// A port belongs to a pod if an address behind it is one that the API server or the container runtime gave to that
// pod. The assignment lasts until the port is gone, with the MAC address of that moment: a pod with NET_ADMIN may
// take other addresses later, and its neighbours' before they start. A bound address is both given to the pod and
// present behind the port.
//
// # The table
//
// It is of the family bridge, so it judges frames, before br_netfilter and bridges see them:
//
//	source     the port, the frame's MAC and the source address in bound4/6: accept
//	           a pod's port: goto a chain of its own, which knows what neighbour discovery may say there
//	           another port of the kind veth: goto unbound
//	port       ARP, discovery and the rest of a pod's port; everything else is dropped, of any type:
//	           frames with VLAN tags, for one, which br_netfilter does not show to the rules of IP
//	unbound    a pod that is not known yet, or no pod: it has no address that is bound elsewhere
//	forward    from such a port to a pod's: ARP and solicitations, else dropped
//	           from a pod's port to another's: what has that pod's address as destination, and discovery
//
// So a port is closed towards pods until it is bound. Traffic that does not concern pods is not touched.
package bind
