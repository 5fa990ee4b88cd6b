package compile

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
)

// Mark is the bits of a connection's ct mark that hold the stamp: the generation of the ruleset that allowed
// the connection, 1 to Last, or 0 if none did. The other bits are left to others. Whoever else writes these
// bits can have connections taken for allowed.
type Mark uint32

// DefaultMark leaves the lower half to others, as kube-proxy's and most network plugins' marks are there.
const DefaultMark Mark = 0xffff0000

const (
	leastMarkBits = 8  // fewer would have connections searched for old stamps all the time
	mostMarkBits  = 16 // a generation is a uint16
)

// ParseMark reads a number as Go does, such as 0xffff0000.
func ParseMark(text string) (Mark, error) {
	number, err := strconv.ParseUint(text, 0, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no number of 32 bits, such as %s", text, DefaultMark)
	}
	width := bits.OnesCount32(uint32(number))
	if width < leastMarkBits || width > mostMarkBits {
		return 0, fmt.Errorf("%q has %d bits set, and needs %d to %d", text, width, leastMarkBits, mostMarkBits)
	}
	if uint32(number)>>bits.TrailingZeros32(uint32(number)) != 1<<width-1 {
		return 0, errors.New("its bits must be adjacent, such as those of " + DefaultMark.String())
	}
	return Mark(number), nil
}

// String is the mask in hexadecimal.
func (m Mark) String() string { return fmt.Sprintf("0x%08x", uint32(m)) }

// Set is pflag.Value's.
func (m *Mark) Set(text string) (err error) {
	parsed, err := ParseMark(text)
	if err == nil {
		*m = parsed
	}
	return err
}

// Type is pflag.Value's.
func (m Mark) Type() string { return "mask" }

func (m Mark) shift() int { return bits.TrailingZeros32(uint32(m)) }

// Last is the highest generation.
func (m Mark) Last() uint16 { return uint16(m >> m.shift()) }

// Next follows a generation; after the last comes the first, for 0 means not stamped.
func (m Mark) Next(generation uint16) uint16 {
	if generation >= m.Last() {
		return 1
	}
	return generation + 1
}

// Upper tells whether a generation is in the upper half of all of them.
func (m Mark) Upper(generation uint16) bool { return generation > m.Last()/2 }

// Generation returns the stamp that a connection's ct mark holds.
func (m Mark) Generation(mark uint32) uint16 { return uint16((mark & uint32(m)) >> m.shift()) }

func (m Mark) of(generation uint16) uint32 { return uint32(generation) << m.shift() }

// StampChain is the chain whose first rule's comment names the generation; see nft.Marker.
const StampChain = admitChain

// comment is the first rule's.
func (m Mark) comment(generation uint16) string {
	return fmt.Sprintf("generation %d in %s", generation, m)
}

// ParseGeneration reads the comment of the first rule of StampChain. It is false for rules that stamp nothing,
// or other bits than these.
func (m Mark) ParseGeneration(marker string) (uint16, bool) {
	number, _ := strings.CutPrefix(marker, "generation ")
	number, _, _ = strings.Cut(number, " ")
	n, err := strconv.ParseUint(number, 10, 16)
	generation := uint16(n)
	return generation, err == nil && n > 0 && generation <= m.Last() && marker == m.comment(generation)
}

// ParseMarker reads the bits and the generation from the comment of the first rule of StampChain. For rules that stamp
// nothing the generation is 0.
func ParseMarker(marker string) (Mark, uint16) {
	_, text, _ := strings.Cut(marker, " in ")
	mark, err := ParseMark(text)
	if err != nil {
		return DefaultMark, 0
	}
	generation, _ := mark.ParseGeneration(marker)
	return mark, generation
}

// stamped returns the chains that bear the generation. With generation 0, or if nothing but to observe is done, no
// connection is stamped, so that every packet is judged. If there are staged policies, they are asked before a connection is
// stamped.
func (c *Compiler) stamped(generation uint16) map[string]nft.Chain {
	m, forward, admit := c.mark, forwardOf(c.shape), admit()
	before := func(comment string) {
		if c.policies.staged > 0 {
			admit.Rules = append(admit.Rules, nft.Remarked(comment, expr.Jump(auditChain)))
		}
		if c.shape.allowed {
			admit.Rules = append(admit.Rules, nft.Remarked(comment, toAllowed.Exprs...))
		}
	}
	if generation == 0 || c.shape.observe {
		const unstamped = "without a stamp: connections may bear old ones"
		before(unstamped)
		admit.Rules = append(admit.Rules, nft.Remarked(unstamped, expr.Accept))
		return map[string]nft.Chain{forwardChain: forward, admitChain: admit}
	}
	allowed := func(what expr.Expr) nft.Rule {
		return nft.Remarked("allowed by this very ruleset before", what, expr.MarkIs{Mask: uint32(m), Value: m.of(generation)}, expr.Accept)
	}
	// What is related was not allowed yet: a connection that a helper expects begins with the mark of the one that
	// announced it (init_conntrack), and an error has that of the connection that it is about, whoever sends it.
	rules := append([]nft.Rule{allowed(expr.Established | expr.New)}, forward.Rules...)
	judge := slices.IndexFunc(rules, toJudge.Equal)
	forward.Rules = slices.Insert(rules, judge, allowed(expr.Of(expr.ICMP)), allowed(expr.Of(expr.ICMPv6)))
	stamp := func(which ...expr.Expr) nft.Rule {
		return nft.Remarked(m.comment(generation), append(which, expr.SetMark{Keep: uint32(^m), Value: m.of(generation)}, expr.Accept)...)
	}
	// What began at a tunnel's port is answered into the tunnel: with a stamp, nobody would look at these answers. An error
	// about it is no reason to stamp it either.
	before(m.comment(generation))
	admit.Rules = append(admit.Rules,
		stamp(expr.Established|expr.New, expr.Transport{Protocol: expr.UDP, Not: true}),
		stamp(expr.NotIn(tunnelSet, expr.UDPSource)),
		nft.Remarked("without a stamp: errors, and what is answered into a tunnel", expr.Accept))
	return map[string]nft.Chain{forwardChain: forward, admitChain: admit}
}
