package lint

import (
	"embed"
	"slices"
	"strings"
)

// Entry is what people can look up about a check.
type Entry struct {
	ID Check
	// Severity of its findings. Some are warnings all the same: widening that is annotated, or not
	// decided; tiers that overlap with another AppTier's; what an AppTier refers to outside of it.
	Severity Severity
	// Of says what it is about: NetworkPolicies, AppTiers or both.
	Of string
	// Title says what it finds, and Text why that matters and what to do.
	Title, Text string
}

// OfFiles says whether the check is made while files are read: the API server makes it by itself.
func (e Entry) OfFiles() bool { return e.ID == Schema }

const (
	ofPolicies = "NetworkPolicy"
	ofAppTiers = "AppTier"
	ofBoth     = "NetworkPolicy, AppTier"
)

// Catalogue returns every check there is, in the order in which people should read about them.
func Catalogue() []Entry { return slices.Clone(catalogue) }

var catalogue = []Entry{
	{Widens, Reject, ofPolicies, "Opens what an AppTier closes",
		`Policies only ever add, so a NetworkPolicy that selects pods of an AppTier can let in what the AppTier
keeps out, and nothing that the AppTier says takes it back. This is decided for every peer that could exist, not
only for those that do, and for every pod that the policy selects and the AppTier isolates. Declare the connection in the AppTier. If it is meant to
stay beside it, annotate the policy with ` + "`policy.apptier.dev/allow-widening: \"the reason\"`" + `, which makes it a warning.
Where labels, addresses or the number behind a port's name decide and are not known, it says so in a warning. At
admission, an AppTier that such a policy would open is refused for the same reason: what is refused does not
depend on which of the two comes first.`},
	{Invalid, Reject, ofBoth, "Cannot be what it says",
		`What the API server refuses, or would if it were asked: address ranges, ports, selectors and names that cannot
be read. Address ranges are held to the form that Kubernetes asks for since 1.36: no bits beyond the prefix, no
leading zeros, no IPv4 written as IPv6. Of AppTiers also what contradicts itself.`},
	{Schema, Reject, ofBoth, "Cannot be read",
		`Text that is no YAML, a field that there is not, a value of another type, keys or objects given twice, a template
that is not rendered, and NetworkPolicies of a group, version or spelling that no API server has: the API server
refuses them, or drops what it does not know. Nothing else of the object is judged until that is put right.`},
	{DNSMissing, Warn, ofPolicies, "Egress without DNS",
		`A pod whose egress is isolated resolves no names unless some policy allows it to, and nearly everything is
reached by name. All policies that select the pod are considered together; where the pods are not given, there may be
more, and it is no more than a note. Pods that may connect to nothing, or
to single addresses only, need no names.`},
	{DNSUDPOnly, Warn, ofPolicies, "DNS over UDP only",
		`Answers that are too long for one packet, and retries, use TCP (RFC 7766). Without it resolving fails for some
names and at some times, which is hard to find.`},
	{DNSPeerOr, Warn, ofBoth, "DNS servers written as two list items",
		`Two list items mean either of them: every pod of kube-system, and pods labelled as DNS servers in this
namespace, which anyone here can create. Both conditions belong into one item.`},
	{PeerOr, Warn, ofBoth, "OR where AND is meant",
		`Two list items mean either of them. This is reported when the pods that the second item selects exist in the
namespaces of the first and not in this one.`},
	{HalfOpen, Warn, ofBoth, "One end allows what the other denies",
		`A connection needs the egress of its source and the ingress of its destination, on the same port and protocol.
This is reported when no pod that is selected can use what a rule allows, because policies at the other end
deny it.`},
	{SelectsNothing, Warn, ofBoth, "Selects no pod",
		`A selector that matches nothing protects nothing, and says nothing about it. Reported when the namespace has
pods, and none of them matches. With an AppTier, of each tier. Objects of kinds that are not known may stand for more pods:
with any, nothing is reported.`},
	{PeerSelectsNothing, Warn, ofBoth, "A peer that matches nobody",
		`A rule for a peer that does not exist allows nothing. Reported when the namespaces that are meant have pods, and
none of them matches, when there is no such namespace, and of a Service that selects no pods.`},
	{NamespaceLabelName, Warn, ofBoth, "A namespace selected by the label name",
		`Nothing sets a label ` + "`name`" + ` on namespaces. The API server sets ` + "`kubernetes.io/metadata.name`" + ` on every one. Where the
namespace that is meant is not known, someone may have set it, and it is no more than a note.`},
	{RuleAllowsEveryone, Warn, ofPolicies, "A rule that reads like no one, and allows everyone",
		`An empty list of peers means everyone. To deny everyone, write no rule at all. Rules with ports alone, the only
rule of a policy for all pods, and the only egress rule are taken as meant; of an only rule that says nothing at all, it is
no more than a note.`},
	{DeadRules, Warn, ofBoth, "Rules without effect",
		`Rules of a direction that is not isolated change nothing: everything is allowed in that direction.`},
	{PolicyTypesOmitted, Warn, ofPolicies, "policyTypes left out",
		`Without policyTypes a policy is about ingress, and about egress too if it has egress rules. So egress rules
alone deny all ingress, and an empty list of them denies nothing.`},
	{ServicePort, Warn, ofBoth, "The port of a Service",
		`Policies see the port that the pod listens on: the Service's port is translated before. Reported when a Service
leads from this port to another one, and no pod that is meant declares this one.`},
	{NamedPortUnresolved, Warn, ofPolicies, "A port name that no pod has",
		`A port's name is looked up at the pod that a connection goes to. Where no container declares it, for this
protocol, the rule allows nothing. Nor does it towards addresses, which have no port names.`},
	{HostNetwork, Warn, ofBoth, "Pods on their node's network",
		`A pod on its node's network is the node to every policy: nothing isolates it, and selectors do not match it.
Reported when all the pods that are selected, or that a peer matches, are such pods.`},
	{PrivateRangesIncomplete, Warn, ofPolicies, "The internet, but for some private ranges",
		`Clusters use 100.64.0.0/10 and IPv6's fc00::/7 as well as the well-known private ranges, and 169.254.0.0/16 is
the node and the cloud. Who means the internet should leave out all of them. A block of one family says nothing
about the other.`},
	{MetadataAddress, Warn, ofPolicies, "Egress to the cloud's metadata service",
		`169.254.169.254 hands credentials of the node to whoever asks over HTTP. A wide block holds it too. A block of
this address alone is taken as meant.`},
	{HealthCheckUnreachable, Warn, ofBoth, "A load balancer that does not reach its pods",
		`A load balancer sends from outside the pod network, on the port that it forwards to and on the one that it
probes. If no policy lets it in, it takes the pods out of service though they answer. The kubelet's own probes
always pass: a pod can always be reached from its own node. Services of type NodePort are not asked about: whether
anyone uses the port is not to be seen.`},
	{APIServerUnreachable, Warn, ofBoth, "The API server does not reach what it calls",
		`The API server calls webhooks from outside the pod network, on the port that the pods listen on. Where no policy
lets it in, whatever the webhook is about can no longer be applied (or is no longer checked, with failurePolicy: Ignore),
in the whole cluster. So it is with APIs of other servers (APIService), and with webhooks that convert resources; the last
are not known at admission. Name its addresses in an ipBlock; who cannot know them leaves ` + "`from`" + ` out for this port. Of an
AppTier, ` + "`kubeAPIServer: {}`" + ` is it. Control planes that come in through Konnectivity's agents are let in by them.`},
	{DNSPort, Warn, ofPolicies, "Port 53, where DNS listens on another",
		`Policies see the port that the pods of the cluster's DNS listen on, since the Service's is translated before. Some do
not listen on 53: OpenShift's use 5353. Reported when such pods are known, by --dns-service or by their Service's label or
name, the policy allows 53 to them, and nothing allows theirs.`},
	{ExcludesNobody, Warn, ofBoth, "An exclusion that excludes nobody",
		`Peers add up, and so do rules. Where one peer leaves somebody out (NotIn, DoesNotExist, except), and another holds
all of the first with those, nobody is left out. So it is with ports: named beside an entry that is every port of the
protocol, or where another rule lets the same peer reach every port, they restrict nothing.`},
	{NotJudged, Note, ofBoth, "Not judged",
		`What is not in the input is not known, and what is of another kind is not understood: a Service or AppTier that an
AppTier refers to, nodes and the API server, policies of other kinds (AdminNetworkPolicy, Calico's, Cilium's), files that
are no manifests. It may be right or wrong. Give what is missing as well, or ask the cluster with --cluster.`},
	{ReplicasIsolated, Warn, ofBoth, "Replicas that cannot reach one another",
		`Most databases, queues and caches that run as several pods talk among themselves, and a policy that names
their clients shuts them off from each other. Reported when the pods of a StatefulSet of several, which a headless
Service gives names to, cannot reach one another on any port that they declare, though somebody else may reach them.
Pods whose ports are all named as those of web servers and scrapers (http, grpc, web, metrics) need nothing of each
other, unless their command, arguments or environment name one of them.`},
	{ClusterIP, Warn, ofBoth, "The address of a Service",
		`A Service's cluster address is translated to a pod's before policies are asked, so an ` + "`ipBlock`" + `, or the ` + "`networks`" + ` of an
AppTier, that hold nothing but such addresses allow nothing. Ranges of which only Services get addresses (ServiceCIDR) are the same. Some
network plugins judge before that: beside a peer that selects the pods, the address is taken as meant.`},
	{Redundant, Warn, ofPolicies, "Changes nothing",
		`Other policies isolate all the pods that this one selects, and allow all that it allows. A policy without rules
is never reported.`},
	{EmptySelector, Reject, ofAppTiers, "An empty selector",
		`An empty selector matches everything, which is rarely meant where a tier or a peer is to be named.`},
	{DeclaredAtReceiver, Reject, ofAppTiers, "A connection declared at its sender",
		`A connection between tiers is declared once, at its receiver. The sender's egress follows from it.`},
	{PortsMissing, Reject, ofAppTiers, "A rule without ports",
		`Without ports, an ingress rule means those that the tier declares. If there are none, it has to say
` + "`allPorts: true`" + `.`},
	{UnknownReference, Reject, ofAppTiers, "A name that nothing has",
		`The tier or port that is named is not declared. Of another AppTier, its tiers, and Services it is a warning:
they may be applied later, and until then stand for nobody.`},
	{TierOverlap, Reject, ofAppTiers, "A pod in two tiers",
		`Policies add up, so a pod in two tiers may do what either may, and a rule for one of them is a rule for the
other. Reported when one selector includes the other, or when there is a pod that has the labels of both. That some
pod could have them is no reason: nothing keeps a pod from having the labels of any two tiers. Where the other tier
is another AppTier's, it is a warning.`},
	{PeerNotAccepted, Warn, ofAppTiers, "A connection that the other owner has not agreed to",
		`Between two AppTiers both owners declare a connection: the receiver in its ingress, the sender in its egress,
with a port in common. Until both do, it is denied.`},
	{WorldEgress, Warn, ofAppTiers, "Isolated egress that is open to everyone",
		`Everyone is every pod of the cluster too, every node, and the address where clouds hand out credentials of the
node. What is outside the cluster is ` + "`internet`" + `. A tier that is to connect to whatever it likes says so with
` + "`isolate: [Ingress]`" + `.`},
	{DNSNoneWithEgress, Warn, ofAppTiers, "No DNS for what is reached by name",
		`Other tiers, Services, pods and the internet are usually reached by name. With ` + "`dns.mode: None`" + ` nothing lets
pods resolve one. Tiers that may connect to addresses, nodes or the API server alone need none, and a rule that allows
port 53 is taken for DNS of one's own.`},
	{ProbeUnreachable, Warn, ofAppTiers, "Probes that are denied",
		`The kubelet's probes always pass, since a pod can be reached from its own node. In Istio's ambient mesh they
come from an address of the mesh instead (169.254.7.127), which is open to the tiers of an AppTier that names the mesh.
Reported when a pod of the mesh, by its label or its namespace's, is probed on a port that nothing opens to it. What a
load balancer probes is asked about by health-check-unreachable.`},
	{MeshTunnel, Note, ofAppTiers, "A mesh that carries any port through one",
		`The proxies of Linkerd and of Istio's ambient mesh take connections for any TCP port on a port of their own,
which has to be open between pods that may talk at all. Policies see this port alone, so who may use one port of a tier
may use all of them. The mesh's own authorization can tell ports apart.`},
	{Duplicate, Reject, ofAppTiers, "Two things of one name",
		`Tiers and ports are referred to by name, so there can be only one of each.`},
	{SameNamespaceConflict, Reject, ofAppTiers, "A perimeter that opens a tier",
		`Policies add up, so allowing the whole namespace would open a tier that is to be isolated from it.`},
	{NotSupported, Reject, ofAppTiers, "Not supported yet",
		`The field has a meaning that this version does not implement. Ignoring it would leave people believing in a
rule that is not there.`},
}

// Example shows a check: an object that it finds fault with, the same put right, and the rest of
// the world that both are judged in, each as YAML.
type Example struct{ Wrong, Right, World string }

//go:embed examples
var examples embed.FS

// Example returns the example of the check.
func (e Entry) Example() Example {
	text, err := examples.ReadFile("examples/" + string(e.ID) + ".yaml")
	if err != nil {
		return Example{}
	}
	parts := strings.SplitN(string(text), "---\n", 3)
	for len(parts) < 3 {
		parts = append(parts, "")
	}
	return Example{Wrong: parts[0], Right: parts[1], World: parts[2]}
}
