// Package reach says whether NetworkPolicy lets a flow pass, and which policy and rule says so.
//
// It is the project's specification of networking.k8s.io/v1 NetworkPolicy: admission, the
// command line and the packet filter in the kernel are tested against it. So it is written to be
// read, and it is pure: a [Snapshot] and a [Flow] go in, a [Result] comes out. It is independent on purpose: it shares
// no reader of pods, ports or addresses with the code that is tested against it. A property test in package kube
// compares both readers.
//
// # Where the rules come from
//
// The doc comments of k8s.io/api/networking/v1 (called API below), and the page
// https://kubernetes.io/docs/concepts/services-networking/network-policies/ (called concept page):
//
//   - A flow passes when the egress policies of its source and the ingress policies of its
//     destination both let it (concept page, "The two sorts of pod isolation").
//   - A pod is isolated in a direction when a policy of its namespace selects it for that
//     direction; it may then do what at least one rule of these policies allows. A pod that is not
//     isolated may do anything (API, NetworkPolicySpec.Ingress and Egress).
//   - Omitted policyTypes mean Ingress, and Egress when there are egress rules (API,
//     NetworkPolicySpec.PolicyTypes). Rules of a direction that is not listed are dead.
//   - A rule asks for its peers and its ports; each list is a union, and an empty or missing list
//     is everything (API, NetworkPolicyIngressRule and NetworkPolicyEgressRule).
//   - A peer's podSelector and namespaceSelector must both match; without a namespaceSelector it
//     means pods of the policy's namespace (API, NetworkPolicyPeer).
//   - A port without protocol is TCP; without number it is every port of its protocol; with
//     endPort it is a range (API, NetworkPolicyPort).
//   - A pod cannot block itself, nor the node it runs on, in either direction and by any of their
//     addresses (concept page, the exceptions in its introduction; API,
//     NetworkPolicySpec.Ingress, for traffic from the node). Loopback never leaves the pod.
//
// # What upstream leaves open
//
// Here the package chooses, once for the whole project:
//
//   - An ipBlock matches any address, including pods' addresses. The concept page only advises
//     against it, because pods' addresses change.
//   - A pod on its node's network is the node: no policy isolates it and no selector matches it,
//     but an ipBlock can match its address. The concept page leaves this undefined and describes
//     it as what most implementations do.
//   - A pod that has finished (phase Succeeded or Failed), or is being removed, owns no address.
//   - A named port is looked up on the destination pod, however it matched (by selector, ipBlock or
//     an empty list), among its containers and its sidecars (init containers that restart always);
//     any port with this name and protocol matches. An address that is not a pod's has no names.
//   - Every namespace carries the label kubernetes.io/metadata.name, as the API server sees to. A
//     pod whose Namespace object is missing from the snapshot is in a namespace with this label
//     alone.
//   - A node is every address of its Node's status that is neither in the node's own ranges of pods nor
//     claimed by a pod. What the status of a pod says about its node does not count: otherwise an account
//     that may write this status could declare any address reachable. An address that only the network
//     plugin knows, such as its bridge's, is not in the snapshot, so it is an address like any other.
//   - An address that several pods claim is held by the pods of the node that looks ([Snapshot.Seen]), or
//     by all if none is there. It may do what the policies of each holder allow, it is a selector's peer
//     if the selector matches each of them, and a port has a name if each of them has it under this name.
//   - A protocol other than TCP, UDP and SCTP matches no port entry, only rules without ports.
//
// # Staged policies
//
// A staged policy is not enforced, and changes no verdict. A flow would be denied ([Result.Audit]) if it passes, and
// would not with the staged policies enforced beside the real ones. A staged policy replaces the real one of the same
// name, if there is one: so people can try the replacement of a policy first.
//
// # What cannot be read fails closed
//
// The API server refuses such objects, but a file or a newer API may hold them. A peer that cannot
// be read (a bad selector, a bad CIDR in ipBlock or its except, ipBlock together with a selector,
// nothing set) matches nothing. A port that cannot be read (endPort with a name or without a port,
// or below the port) matches nothing. A policy whose own podSelector cannot be read isolates every
// pod of its namespace and allows nothing. [Decision.Problems] names each of them.
//
// # Unknown
//
// The answer is [Unknown], never a guess, when the snapshot does not hold what decides: an endpoint
// names a pod that is missing or has finished, or an address that is not the pod's; several pods
// claim the address and no node looks; the ends have no address family in common; a pod has no address yet and an ipBlock
// decides; a pod is on no node yet and its peer is a node; labels decide of a namespace that a snapshot
// with [Snapshot.PartialNamespaces] lacks, or of a pod that are among its [Snapshot.UnknownLabels]. An allowing rule
// prevails over an unknown one, and a denied direction over the other direction's unknown.
package reach
