package cluster

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAddresses(t *testing.T) {
	for want, got := range map[string]string{
		"10.200.0.1":                    ipv4.controlPlane().String(),
		"10.200.0.12":                   ipv4.node(2).String(),
		"10.244.2.0/24":                 ipv4.nodePods(2).String(),
		"10.96.0.1":                     ipv4.apiService().String(),
		"10.96.0.10":                    ipv4.dnsService().String(),
		"0.0.0.0/0":                     ipv4.everywhere().String(),
		"fd00:10:200::1":                ipv6.controlPlane().String(),
		"fd00:10:200::12":               ipv6.node(2).String(),
		"fd00:10:244:2::/64":            ipv6.nodePods(2).String(),
		"fd00:10:96::1":                 ipv6.apiService().String(),
		"fd00:10:96::10":                ipv6.dnsService().String(),
		"::/0":                          ipv6.everywhere().String(),
		"fd00:10:244:c8::/64":           ipv6.nodePods(maxNodes).String(),
		"fd00:10:200::d8":               ipv6.node(maxNodes).String(),
		"https://10.200.0.1:6443":       Shape{IPFamily: DualStack}.plan().serverURL(),
		"https://[fd00:10:200::1]:6443": Shape{IPFamily: IPv6}.plan().serverURL(),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// What the components are told names the addresses of the cluster's families, and of no other.
func TestComponentsOfEachFamily(t *testing.T) {
	for family, want := range map[IPFamily][]string{
		IPv4: {
			"--node-ip=10.200.0.11", "--cluster-cidr=10.244.0.0/16", "--service-cluster-ip-range=10.96.0.0/16",
			"--advertise-address=10.200.0.1", "--bind-address=0.0.0.0", `address: "0.0.0.0"`, `clusterDNS: ["10.96.0.10"]`,
			`"ranges": [[{"subnet": "10.244.1.0/24"}]]`, `"routes": [{"dst": "0.0.0.0/0"}]`,
		},
		IPv6: {
			"--node-ip=fd00:10:200::11", "--cluster-cidr=fd00:10:244::/48", "--service-cluster-ip-range=fd00:10:96::/112",
			"--advertise-address=fd00:10:200::1", "--bind-address=::", `address: "::"`, `clusterDNS: ["fd00:10:96::10"]`,
			`"ranges": [[{"subnet": "fd00:10:244:1::/64"}]]`, `"routes": [{"dst": "::/0"}]`,
		},
		DualStack: {
			"--node-ip=10.200.0.11,fd00:10:200::11", "--cluster-cidr=10.244.0.0/16,fd00:10:244::/48",
			"--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112", "--advertise-address=10.200.0.1",
			`"ranges": [[{"subnet": "10.244.1.0/24"}], [{"subnet": "fd00:10:244:1::/64"}]]`,
			`"routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]`,
		},
	} {
		t.Run(string(family), func(t *testing.T) {
			told := toldTo(t, Shape{Nodes: 2, IPFamily: family})
			for _, word := range want {
				if !strings.Contains(told, word+"\n") && !strings.Contains(told, word+",\n") {
					t.Errorf("nothing says %s:\n%s", word, told)
				}
			}
			if family == IPv4 && strings.Contains(told, "fd00:") || family == IPv6 && strings.Contains(told, "10.2") {
				t.Errorf("another family's address:\n%s", told)
			}
		})
	}
}

// toldTo is what the components of a cluster are told by flag and file.
func toldTo(t *testing.T, s Shape) string {
	t.Helper()
	ca, err := newAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := prepareNode(dir, 1, s, ca); err != nil {
		t.Fatal(err)
	}
	var told strings.Builder
	for _, spec := range [][]string{apiServerSpec(s.plan()).Argv, kubeletSpec(1, s.plan()).Argv, kubeProxySpec(1, s).Argv} {
		told.WriteString(strings.Join(spec, "\n") + "\n")
	}
	for _, file := range []string{"kubelet.yaml", "cni/10-cluster.conflist"} {
		content, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		told.Write(content)
	}
	return told.String()
}

func TestForeignAddresses(t *testing.T) {
	for _, c := range []struct {
		family  IPFamily
		address string
		foreign bool
	}{
		{IPv4, "203.0.113.10", true},
		{IPv4, "10.244.1.7", false},
		{IPv4, "2001:db8::10", false},
		{IPv6, "2001:db8::10", true},
		{IPv6, "fd00:10:244:1::7", false},
		{IPv6, "203.0.113.10", false},
		{DualStack, "203.0.113.10", true},
		{DualStack, "2001:db8::10", true},
		{DualStack, "fd00:10:200::11", false},
	} {
		if err := (Shape{IPFamily: c.family}).plan().foreign(netip.MustParseAddr(c.address)); (err == nil) != c.foreign {
			t.Errorf("%s in a cluster of %s: %v", c.address, c.family, err)
		}
	}
}
