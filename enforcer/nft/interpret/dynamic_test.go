package interpret_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
	"github.com/apptier/apptier/enforcer/nft/interpret"
)

// What a dynamic set holds depends on the packets before, so each way that a packet may find it can be asked for.
func TestDynamicSets(t *testing.T) {
	key := []expr.Field{expr.Source4, expr.Destination4, expr.TransportProtocol, expr.TransportDestination}
	dynamic := nft.Dynamic{Size: 2, Timeout: time.Minute}
	rules, err := interpret.New(nft.Table{
		Sets: map[string]nft.Set{
			"seen": {Key: "ipv4_addr . ipv4_addr . inet_proto . inet_service", Dynamic: dynamic},
			"pace": {Key: "ipv4_addr", Dynamic: dynamic},
		},
		Counters: map[string]nft.Counter{"known": {}, "missed": {}},
		Chains: map[string]nft.Chain{"forward": {
			Base: &nft.Base{Hook: nft.ForwardHook, Priority: nft.FilterPriority, Policy: nft.AcceptPolicy},
			Rules: []nft.Rule{
				nft.RuleOf(expr.Original, expr.In("seen", key...), expr.Counter{Name: "known"}, expr.Drop),
				nft.RuleOf(expr.Within(expr.Limit{Packets: 1, Per: time.Second, Burst: 1}, "pace", expr.Source4), expr.Count("seen", key...), expr.Drop),
				nft.RuleOf(expr.Counter{Name: "missed"}, expr.Drop),
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	packet := interpret.Packet{
		Network: expr.IPv4, Protocol: expr.TCP, State: expr.New, DestinationPort: 80,
		Source: netip.MustParseAddr("10.0.0.1"), Destination: netip.MustParseAddr("10.0.0.2"),
	}
	recorded := []interpret.Recorded{{Set: "seen", Key: "10.0.0.1 . 10.0.0.2 . tcp . 80"}}
	for _, test := range []struct {
		name     string
		dynamic  interpret.Dynamic
		reply    bool
		counters []string
		recorded []interpret.Recorded
	}{
		{"the first packet is recorded", interpret.Empty, false, nil, recorded},
		{"another one is found", interpret.Known, false, []string{"known"}, nil},
		{"there is no space", interpret.Full, false, []string{"missed"}, nil},
		{"a reply does not go that way", interpret.Known, true, nil, recorded},
	} {
		t.Run(test.name, func(t *testing.T) {
			rules.Dynamic, packet.Reply = test.dynamic, test.reply
			result, err := rules.Run("forward", packet)
			if err != nil {
				t.Fatal(err)
			}
			if result.Accepted || !slices.Equal(result.Counters, test.counters) || !slices.Equal(result.Recorded, test.recorded) {
				t.Errorf("got %+v", result)
			}
		})
	}
}
