package lab

import (
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/go-logr/logr"

	"github.com/apptier/apptier/enforcer/bind"
	"github.com/apptier/apptier/enforcer/links"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/wiring"
	"github.com/apptier/apptier/internal/testenv/network"
)

// Looks returns what looks after the wiring of the node, which is none of the lab's own: it finds the pods'
// links by itself.
func (l *Lab) Looks(t testing.TB) *wiring.Node {
	t.Helper()
	n := &wiring.Node{Log: logr.Discard()}
	n.ReadFile = func(name string) (content []byte, err error) {
		err = network.In(l.Node, func() (err error) {
			content, err = os.ReadFile(name)
			return err
		})
		return content, err
	}
	Must(t, network.In(l.Node, func() (err error) {
		if n.Kernel, err = nft.Open(bind.TableFamily, bind.TableName); err != nil {
			return err
		}
		n.Links, err = links.Open()
		return err
	}))
	t.Cleanup(n.Links.Close)
	return n
}

// Given are the node's pods and the addresses that they were given, but for some.
func (l *Lab) Given(without ...string) []bind.Pod {
	var pods []bind.Pod
	for _, h := range l.Hosts {
		if h.Kind == LocalPod && !slices.Contains(without, h.Name) {
			pods = append(pods, bind.Pod{Name: "x/" + h.Name, Addresses: []netip.Addr{h.V4, h.V6}})
		}
	}
	return pods
}
