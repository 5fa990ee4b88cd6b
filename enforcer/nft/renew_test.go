package nft_test

import (
	"testing"
	"time"

	"github.com/apptier/apptier/enforcer/nft"
)

// What is kept is what a table of now would have made the same; else there is nothing to keep, and the table is replaced.
func TestRenewKeepsWhatIsTheSame(t *testing.T) {
	seen := nft.Set{Key: "ipv4_addr . inet_service", Dynamic: nft.Dynamic{Size: 9, Timeout: time.Minute}}
	wanted := nft.Table{
		Family: nft.Inet, Name: "t", Chains: map[string]nft.Chain{"c": {}}, Counters: map[string]nft.Counter{"n": {}},
		Sets: map[string]nft.Set{"seen": seen},
	}
	other := seen
	other.Dynamic.Size = 10
	for name, test := range map[string]struct {
		got  nft.Contents
		want bool
	}{
		"the same":                {nft.Contents{Dynamic: map[string]nft.Set{"seen": seen}}, true},
		"another size":            {nft.Contents{Dynamic: map[string]nft.Set{"seen": other}}, false},
		"no such set":             {nft.Contents{}, false},
		"dormant":                 {nft.Contents{Flagged: true, Dormant: true, Dynamic: map[string]nft.Set{"seen": seen}}, false},
		"left by its owner":       {nft.Contents{Flagged: true, Left: true, Dynamic: map[string]nft.Set{"seen": seen}}, true},
		"with a set of that name": {nft.Contents{Sets: map[string]map[string]nft.Element{"seen": {}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			ops := nft.Renew(wanted, test.got)
			if (len(ops) > 0) != test.want {
				t.Fatalf("%d steps", len(ops))
			}
			for _, op := range ops {
				if text := op.String(); text == "delete set seen" || text == "add set seen" {
					t.Errorf("%s", text)
				}
			}
		})
	}
}
