package kernel

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netns"

	"github.com/apptier/apptier/enforcer/bind"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

// The table of bridges over netlink is that of the nft program, when it is made and when it changes, and what
// is read of it again.
func TestBindingsOverNetlinkAreThoseOfTheProgram(t *testing.T) {
	lab.RequireKernel(t)
	program, direct := openBridges(t, lab.NewNamespace(t)), openBridges(t, lab.NewNamespace(t))
	port := func(i int) bind.Port {
		v4, v6 := lab.PodAddresses(0, i)
		return bind.Port{
			Name: fmt.Sprintf("veth%d", i), Index: i + 1, MAC: net.HardwareAddr{0xa, 0, 0, 0, 0, byte(i)},
			Addresses: []netip.Addr{v4, v6, netip.MustParseAddr(fmt.Sprintf("fe80::%d", i+1))},
		}
	}
	ctx := logr.NewContext(t.Context(), funcr.New(func(_, args string) { t.Errorf("not over netlink: %s", args) }, funcr.Options{Verbosity: 1}))
	var ports []bind.Port
	var pods []bind.Pod
	table := bind.Table(nil, nil, nil)
	ops := nft.Replace(table)
	for i := range 4 {
		lab.Must(t, nft.Apply(t.Context(), onlyProgram(program), ops))
		lab.Must(t, nft.Apply(ctx, direct, ops))
		if diff := cmp.Diff(listBridges(t, program.ns), listBridges(t, direct.ns)); diff != "" {
			t.Fatalf("by the program (-), over netlink (+):\n%s", diff)
		}
		contents, err := direct.Contents(t.Context(), true)
		lab.Must(t, err)
		if difference := (&nft.Auditor{}).Compare(table, contents); difference != "" {
			t.Error(difference)
		}
		ports = append(ports, port(i))
		pods = append(pods, bind.Pod{Name: fmt.Sprintf("x/p%d", i), Addresses: ports[i].Addresses[:2]})
		next := bind.Table(bind.Bind(nil, ports[i/2:], pods, nil), []netip.Addr{lab.Gateway4, lab.Gateway6}, []string{"veth-other"})
		ops, table = nft.Diff(table, next), next
	}
}

func openBridges(t testing.TB, ns netns.NsHandle) *node {
	t.Helper()
	n := &node{ns: ns}
	lab.Must(t, network.In(ns, func() (err error) {
		n.Kernel, err = nft.Open(bind.TableFamily, bind.TableName)
		return err
	}))
	return n
}

func listBridges(t testing.TB, ns netns.NsHandle) (lines []string) {
	t.Helper()
	lab.Must(t, network.In(ns, func() error {
		out, err := exec.CommandContext(context.Background(), "nft", "--stateless", "list", "table", string(bind.TableFamily), bind.TableName).Output()
		lines = strings.Split(string(out), "\n")
		return err
	}))
	return lines
}
