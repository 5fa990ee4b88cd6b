package expand_test

import (
	"net/netip"
	"testing"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
)

// The internet leaves out the cluster's own ranges, also where they are public addresses, and
// names no range that lies within another.
func TestInternetLeavesOutTheClustersOwnRanges(t *testing.T) {
	env := expand.DefaultEnvironment()
	env.ClusterNetworks = []netip.Prefix{
		netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("10.244.0.0/16"),
		netip.MustParsePrefix("2001:db8:42::/56"),
	}
	app := &v1alpha1.AppTier{Spec: v1alpha1.AppTierSpec{
		DNS: v1alpha1.DNS{Mode: v1alpha1.DNSNone},
		Tiers: []v1alpha1.Tier{{
			Name:    "web",
			Ports:   []v1alpha1.TierPort{{Port: 80}},
			Ingress: []v1alpha1.IngressRule{{From: []v1alpha1.Peer{{Internet: &v1alpha1.InternetPeer{}}}}},
		}},
	}}
	excepted := map[string]bool{}
	for _, peer := range expand.NetworkPolicies(app, env)[0].Spec.Ingress[0].From {
		for _, except := range peer.IPBlock.Except {
			excepted[except] = true
		}
	}
	for cidr, want := range map[string]bool{
		"198.51.100.0/24": true, "2001:db8:42::/56": true, "10.0.0.0/8": true, "fc00::/7": true, "10.244.0.0/16": false,
	} {
		if excepted[cidr] != want {
			t.Errorf("%s excepted: %v, want %v", cidr, excepted[cidr], want)
		}
	}
}
