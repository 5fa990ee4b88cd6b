package prove

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/apptier/apptier/enforcer/agent/agenttest"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
	"github.com/apptier/apptier/enforcer/nft/interpret"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// finds draws how packets find dynamic sets.
func finds(t *rapid.T) interpret.Dynamic {
	return rapid.SampledFrom([]interpret.Dynamic{interpret.Empty, interpret.Full, interpret.Known}).Draw(t, "dynamic sets")
}

// recording is a compiler of which some of what is recorded is drawn.
func recording(t *rapid.T) *compile.Compiler {
	c := compile.New(agenttest.Node)
	if rapid.Bool().Draw(t, "allowed connections are recorded") {
		c.RecordAllowed()
	}
	return c
}

// Whatever was recorded before, and whether or not there is space: what passes is what the policies allow.
func TestRecordingChangesNoVerdict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		snapshot := staged(t, reachtest.Snapshot(reachtest.Disputed()).Draw(t, "snapshot"))
		c := recording(t)
		c.Tell(snapshot)
		report, err := compare(context.Background(), c.Ruleset().Table(1), compile.ForwardChain, snapshot, agenttest.Node, finds(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range report.Differences {
			t.Errorf("%s", d)
		}
	})
}

// A ruleset that only observes denies the same, in name.
func TestObservingTellsWhatWouldBeDenied(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		snapshot := staged(t, reachtest.Snapshot(reachtest.Disputed()).Draw(t, "snapshot"))
		c := recording(t)
		c.Observe()
		c.Tell(snapshot)
		report, err := compare(context.Background(), c.Ruleset().Table(1), compile.ForwardChain, snapshot, agenttest.Node, finds(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range report.Differences {
			t.Errorf("%s", d)
		}
	})
}

// Nothing that only observes drops a packet, of whatever kind, or changes a mark.
func TestObservingDropsNothing(t *testing.T) {
	seen := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		snapshot := staged(t, reachtest.Snapshot(reachtest.Disputed()).Draw(t, "snapshot"))
		c := recording(t)
		c.Observe()
		c.SetLinks([]string{"eth0"}, []string{"br0"}, []uint16{4789})
		c.Tell(snapshot)
		rules, err := interpret.New(c.Ruleset().Table(rapid.Uint16Range(0, 3).Draw(t, "generation")))
		if err != nil {
			t.Fatal(err)
		}
		rules.Dynamic = finds(t)
		for range 50 {
			packet := anyPacket(t, snapshot)
			for _, base := range []string{compile.ForwardChain, compile.SourceChain, "input"} {
				result, err := rules.Run(base, packet)
				if err != nil {
					t.Fatal(err)
				}
				if !result.Accepted || result.Mark != packet.Mark {
					t.Fatalf("%s: %+v becomes of %+v", base, result, packet)
				}
				for _, counter := range result.Counters {
					seen[counter] = true
				}
			}
		}
	})
	if !testing.Short() && len(seen) < len(compile.Denials()) {
		t.Errorf("only %v were counted", seen)
	}
}

// Each denied packet is either recorded once, under the connection that it is of, or counted as missed.
func TestWhatIsDeniedIsRecorded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		snapshot := staged(t, reachtest.Snapshot(reachtest.Disputed()).Draw(t, "snapshot"))
		c := recording(t)
		c.Tell(snapshot)
		rules, err := interpret.New(c.Ruleset().Table(1))
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			packet := anyPacket(t, snapshot)
			rules.Dynamic = interpret.Empty
			first, err := rules.Run(compile.ForwardChain, packet)
			if err != nil {
				t.Fatal(err)
			}
			rules.Dynamic = interpret.Full
			full, err := rules.Run(compile.ForwardChain, packet)
			if err != nil {
				t.Fatal(err)
			}
			denied := slices.IndexFunc(first.Counters, isDenial)
			missed := slices.ContainsFunc(full.Counters, func(name string) bool { return strings.HasPrefix(name, "missed-denied-") })
			if denied >= 0 != !first.Accepted || missed != !full.Accepted || first.Accepted != full.Accepted {
				t.Fatalf("%+v: first %+v, full %+v", packet, first, full)
			}
			if denied < 0 {
				continue
			}
			want := wantRecorded(first.Counters[denied], packet)
			if !slices.Equal(first.Recorded, want) {
				t.Fatalf("%+v: recorded %+v, want %+v", packet, first.Recorded, want)
			}
		}
	})
}

// wantRecorded is what is to be recorded of a denied packet.
func wantRecorded(counter string, p interpret.Packet) []interpret.Recorded {
	from, to, port := p.Source, p.Destination, p.DestinationPort
	hasPorts := p.Protocol == expr.TCP || p.Protocol == expr.UDP || p.Protocol == expr.SCTP
	if counter == "denied-egress" || counter == "denied-ingress" {
		from, to = p.Initiator.Address, p.Server.Address
		hasPorts = hasPorts && !p.Reply
	}
	if !hasPorts {
		port = p.SourcePort
	}
	set := counter + "4"
	if from.Is6() {
		set = counter + "6"
	}
	return []interpret.Recorded{{Set: set, Key: nft.Key(from.String(), to.String(), p.Protocol.String(), strconv.Itoa(int(port)))}}
}

// anyPacket draws a packet of any kind between addresses of the world and others.
func anyPacket(t *rapid.T, snapshot reach.Snapshot) interpret.Packet {
	addresses := map[expr.Network][]netip.Addr{
		expr.IPv4: {netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("224.0.0.9"), netip.MustParseAddr("127.0.0.1")},
		expr.IPv6: {netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("ff02::5"), netip.MustParseAddr("fe80::1")},
	}
	for _, pod := range snapshot.Pods {
		for _, ip := range pod.Status.PodIPs {
			if a, err := netip.ParseAddr(ip.IP); err == nil && a.Is4() {
				addresses[expr.IPv4] = append(addresses[expr.IPv4], a)
			} else if err == nil {
				addresses[expr.IPv6] = append(addresses[expr.IPv6], a)
			}
		}
	}
	link := func(label string) interpret.Link {
		return rapid.SampledFrom([]interpret.Link{{Name: "eth0"}, {Name: "veth0", Kind: "veth"}, {Name: "br0", Kind: "bridge"}, {Name: "vx", Kind: "vxlan"}}).Draw(t, label)
	}
	p := interpret.Packet{
		Network:  rapid.SampledFrom([]expr.Network{expr.IPv4, expr.IPv6}).Draw(t, "network"),
		Protocol: rapid.SampledFrom([]expr.Protocol{expr.TCP, expr.UDP, expr.SCTP, expr.ICMP, expr.ICMPv6, 47}).Draw(t, "protocol"),
		State:    rapid.SampledFrom([]expr.State{expr.New, expr.New, expr.Established, expr.Related, expr.Untracked, expr.Invalid}).Draw(t, "state"),
		In:       link("in"), Out: link("out"), NoRouteBack: rapid.Bool().Draw(t, "no route back"),
		SourcePort: rapid.Uint16().Draw(t, "port"), DestinationPort: rapid.SampledFrom([]uint16{53, 80, 4789, 8080}).Draw(t, "to port"),
		Options: rapid.Bool().Draw(t, "options"), RoutingHeader: rapid.Bool().Draw(t, "routing header"),
		To:         rapid.SampledFrom([]expr.AddressKind{0, expr.Local, expr.Broadcast}).Draw(t, "to"),
		ICMPv6Type: rapid.Uint8Range(128, 140).Draw(t, "type"), HopLimit: rapid.SampledFrom([]uint8{64, 255}).Draw(t, "hops"),
		Reply: rapid.Bool().Draw(t, "reply"),
	}
	if mark := rapid.SampledFrom([]uint32{0, 1 << 16, 7}).Draw(t, "mark"); p.State != expr.Untracked && p.State != expr.Invalid {
		p.Mark = mark
	}
	p.Source = rapid.SampledFrom(addresses[p.Network]).Draw(t, "source")
	p.Destination = rapid.SampledFrom(addresses[p.Network]).Draw(t, "destination")
	if p.State == expr.Untracked || p.State == expr.Invalid {
		return p
	}
	from, to := interpret.Socket{Address: p.Source, Port: p.SourcePort}, interpret.Socket{Address: p.Destination, Port: p.DestinationPort}
	if p.Initiator, p.Server = from, to; p.Reply {
		p.Initiator, p.Server = to, from
	}
	return p
}
