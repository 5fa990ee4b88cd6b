package netpol

import (
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
)

// MetadataAddress reports where egress reaches the cloud's metadata service.
var MetadataAddress = register(check.Check{
	ID: "metadata-address", Severity: check.Warn, About: check.OfPolicies,
	Title: "Egress to the cloud's metadata service",
	Text: `169.254.169.254 gives credentials of the node to any client over HTTP. A wide block includes it. A block of only
this address is not reported.`,
})

// metadataAddress is where clouds serve credentials to any client, over plain HTTP.
var metadataAddress = netip.MustParseAddr("169.254.169.254")

// checkMetadata finds wide blocks that include the cloud's metadata service. A block of only this address is deliberate.
func checkMetadata(r *check.Report, rule int, of kube.Rule) {
	ports, _ := connset.RulePorts(of.Ports)
	if !ports.Contains(connset.PortOf(corev1.ProtocolTCP, 80)) {
		return
	}
	for i, peer := range of.Peers {
		block := orNone(peer.IPBlock)
		addresses, ok := connset.BlockAddresses(block)
		if ok && !strings.HasSuffix(block.CIDR, "/32") && addresses.Contains(metadataAddress) {
			r.Find(MetadataAddress, peersPath(egress, rule).Index(i).Child("ipBlock"), "add 169.254.0.0/16 to except",
				"%s includes %s, where clouds give credentials of the node to any client", block.CIDR, metadataAddress)
		}
	}
}
