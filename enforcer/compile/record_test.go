package compile

import (
	"testing"

	"github.com/apptier/apptier/enforcer/nft/expr"
)

// atMost is how many elements a limit lets one end have in a set at once.
func atMost(l expr.Limit) uint32 {
	return l.Burst + uint32(RecordTimeout/l.Per)*l.Packets
}

// Whatever one end does, at however many others: it takes a fortieth of a set of what is denied, or would be, so that 40
// that scan at the same time hide nobody else's first denial.
func TestOneEndTakesASmallPartOfARecord(t *testing.T) {
	const part = 40
	for _, r := range records(shape{}) {
		var all uint32
		for _, w := range r.ways {
			least := r.size
			for _, b := range w {
				if len(b.by(ipv4)) == 1 { // not of a pair, of which one end has many
					least = min(least, atMost(b.limit))
				}
			}
			all += least
		}
		if all > r.size/part {
			t.Errorf("%s: one end may have %d of %d", r.chain, all, r.size)
		}
	}
}
