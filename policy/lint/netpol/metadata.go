package netpol

import (
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
)

// MetadataAddress is found where egress reaches the cloud's metadata service.
var MetadataAddress = register(check.Check{
	ID: "metadata-address", Severity: check.Warn, About: check.OfPolicies,
	Title: "Egress to the cloud's metadata service",
	Text: `169.254.169.254 hands credentials of the node to whoever asks over HTTP. A wide block holds it too. A block of
this address alone is taken as meant.`,
})

// metadataAddress is where clouds serve credentials to whoever asks, over plain HTTP.
var metadataAddress = netip.MustParseAddr("169.254.169.254")

// checkMetadata finds wide blocks that the cloud's metadata service is in. A block for this address
// alone is meant.
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
				"%s holds %s, where clouds hand credentials of the node to whoever asks", block.CIDR, metadataAddress)
		}
	}
}
