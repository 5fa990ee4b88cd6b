package kernel

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/test/lab"
)

func TestCountersAreThoseOfTheTable(t *testing.T) {
	l := newLab(t, lab.Routed)
	n := openNode(t, l.Node)
	counts := func() map[string]uint64 {
		t.Helper()
		counts, err := nft.Counts(t.Context(), n)
		lab.Must(t, err)
		return counts
	}
	if got := counts(); len(got) != 0 {
		t.Errorf("without a table: %v", got)
	}
	l.NFT(t, `
table inet other { counter another { packets 7 bytes 8 }; }
table ip apptier { counter another { packets 9 bytes 10 }; }
table inet apptier {
	counter none {}
	counter some { packets 5000000000 bytes 3 }
	quota bound { over 100 bytes }
}`)
	if diff := cmp.Diff(map[string]uint64{"none": 0, "some": 5_000_000_000}, counts()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
