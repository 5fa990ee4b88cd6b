package kernel

import (
	"net/netip"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/test/lab"
)

// Who applies rules does not wait until all records of a set are listed, which takes some 30 ms when it is full.
func TestNobodyWaitsForAListOfRecords(t *testing.T) {
	l := newLab(t, lab.Routed)
	s := l.Shop()
	s.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "p", "{podSelector: {}, policyTypes: [Egress]}")}
	l.Apply(t, nft.Replace(spacious(l.Table(s, 1), 0)))
	const elements = 2000
	scan(t, l.Host("local-0"), []netip.Addr{l.Host("local-1").V4}, elements)
	k := openNode(t, l.Node).Kernel
	seen, asked := 0, make(chan error, 1)
	restart := func() { t.Error("the list began anew") }
	lab.Must(t, k.(nft.Recorder).Recorded(t.Context(), "denied-egress4", func(nft.Recorded) {
		if seen++; seen > 1 {
			return
		}
		go func() {
			_, err := k.Revision(t.Context())
			asked <- err
		}()
		select {
		case err := <-asked:
			lab.Must(t, err)
		case <-time.After(5 * time.Second):
			t.Error("others wait for the list")
		}
		l.NFT(t, "add chain inet apptier foreign") // changes no record
	}, restart))
	if seen != elements {
		t.Errorf("%d of %d elements", seen, elements)
	}
}
