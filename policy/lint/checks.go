package lint

// Checks of NetworkPolicies; Invalid and DeadRules are checks of both.
const (
	// DNSMissing: pods may open connections but cannot resolve names.
	DNSMissing Check = "dns-missing"
	// DNSUDPOnly: DNS is allowed over UDP and not over TCP.
	DNSUDPOnly Check = "dns-udp-only"
	// DNSPeerOr: a namespace or DNS pods, where DNS pods of the namespace are meant.
	DNSPeerOr Check = "dns-peer-or"
	// PeerOr: a namespace or pods, where pods of the namespace are meant.
	PeerOr Check = "peer-or"
	// NamespaceLabelName: a namespace is selected by a label that nothing sets.
	NamespaceLabelName Check = "namespace-label-name"
	// RuleAllowsEveryone: a rule that reads like no one allows everyone.
	RuleAllowsEveryone Check = "rule-allows-everyone"
	// PolicyTypesOmitted: without policyTypes, the policy means something else than it seems to.
	PolicyTypesOmitted Check = "policy-types-omitted"
	// SelectsNothing: the policy selects no pod.
	SelectsNothing Check = "selects-nothing"
	// PeerSelectsNothing: a peer matches nobody.
	PeerSelectsNothing Check = "peer-selects-nothing"
	// ServicePort: the port of a Service stands where the pod's is meant.
	ServicePort Check = "service-port"
	// NamedPortUnresolved: no destination has a port of this name.
	NamedPortUnresolved Check = "named-port-unresolved"
	// HostNetwork: pods on their node's network are neither selected nor matched.
	HostNetwork Check = "host-network"
	// HalfOpen: one end allows a connection and the other denies it.
	HalfOpen Check = "half-open"
	// Widens: the policy opens what an AppTier closes.
	Widens Check = "widening"
	// Redundant: the policy changes nothing.
	Redundant Check = "redundant"
	// PrivateRangesIncomplete: ranges that are not the internet are left out only in part.
	PrivateRangesIncomplete Check = "private-ranges-incomplete"
	// MetadataAddress: egress reaches the cloud's metadata service.
	MetadataAddress Check = "metadata-address"
	// APIServerUnreachable: the API server cannot reach what it is to call.
	APIServerUnreachable Check = "apiserver-unreachable"
	// ExcludesNobody: another peer holds whom a peer leaves out.
	ExcludesNobody Check = "excludes-nobody"
	// DNSPort: port 53 is allowed, and the DNS servers listen on another.
	DNSPort Check = "dns-port"
	// HealthCheckUnreachable: a load balancer cannot reach the pods behind it.
	HealthCheckUnreachable Check = "health-check-unreachable"
	// ReplicasIsolated: the pods of a StatefulSet cannot reach one another.
	ReplicasIsolated Check = "replicas-isolated"
	// ClusterIP: an address range that holds a Service's cluster address alone.
	ClusterIP Check = "cluster-ip"
)
