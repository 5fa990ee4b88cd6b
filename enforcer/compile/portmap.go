package compile

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
)

// page is the number of ports in each of the maps that a large map is split into. With one more policy, the pods that it
// selects become another group. The chain of that group shares all pages except those with ports of the policy. Page
// divides the number of all ports.
const page = 128

// piece is a range of ports, and the verdict about them.
type piece struct {
	portSpan
	verdict string
}

// dispatch returns the rules that lead from a port to the peers that are allowed on it: a thousand policies with their own
// ports are two or three lookups instead of a thousand rules. A port of several rules has the peers of all of them. Ports
// with the same rules share a chain.
func (d *chainBuilder) dispatch(protocol corev1.Protocol, segments []segment) []nft.Rule {
	pieces := d.buffers.pieces[:0]
	for _, s := range segments {
		pieces = append(pieces, piece{s.portSpan, d.portVerdict(s.rules)})
	}
	d.buffers.pieces = pieces
	if len(pieces) > page {
		pieces = d.pages(protocol, pieces)
	}
	// Single ports have a map of their own: maps of ranges are slower, to look up and to change.
	single, ranges := map[string]nft.Element{}, map[string]nft.Element{}
	for _, p := range pieces {
		if p.first == p.last {
			single[p.String()] = nft.Element{Value: p.verdict}
		} else {
			ranges[p.String()] = nft.Element{Value: p.verdict}
		}
	}
	var rules []nft.Rule
	for _, m := range []struct {
		prefix   string
		elements map[string]nft.Element
	}{{"by-port", single}, {"by-range", ranges}} {
		if len(m.elements) == 0 {
			continue
		}
		name := hashedName(m.prefix, nftProtocol[protocol].String()+"-"+d.group.chain, m.prefix+" "+d.group.chain+" "+string(protocol))
		of := portMap("ports of "+d.group.chain, m.prefix == "by-range")
		of.Elements = m.elements
		d.maps[name] = of
		rules = append(rules, lookUp(protocol, name))
	}
	return rules
}

func lookUp(protocol corev1.Protocol, name string) nft.Rule {
	return nft.RuleOf(layer4(protocol), expr.By(name, serverPort))
}

func portMap(about string, ranges bool) nft.Set {
	return nft.Set{Key: "inet_service", Value: "verdict", Comment: remark(about), Interval: ranges}
}

// pages splits pieces at the starts of pages. It returns one piece for each page with a chain of its own, and one for
// consecutive whole pages with the same rules.
func (d *chainBuilder) pages(protocol corev1.Protocol, pieces []piece) []piece {
	out, rest := make([]piece, 0, len(pieces)/page+1), d.buffers.page[:0]
	defer func() { d.buffers.page = rest }()
	turn := func() {
		if len(rest) > 0 {
			first := rest[0].first / page * page
			out = append(out, piece{portSpan{first, first + page - 1}, "goto " + d.pageChain(protocol, rest)})
			rest = rest[:0]
		}
	}
	for _, p := range pieces {
		for p.first <= p.last {
			start := p.first / page * page
			if len(rest) > 0 && rest[0].first/page*page != start {
				turn()
			}
			if whole := (p.last + 1) / page * page; p.first == start && whole > start {
				out = append(out, piece{portSpan{p.first, whole - 1}, p.verdict})
				p.first = whole
				continue
			}
			last := min(p.last, start+page-1)
			rest = append(rest, piece{portSpan{p.first, last}, p.verdict})
			p.first = last + 1
		}
	}
	turn()
	return out
}

// pageChain writes the chain for the ports of a page, and returns its name. The name depends on the contents, so groups
// share the chain.
func (d *chainBuilder) pageChain(protocol corev1.Protocol, pieces []piece) string {
	first := pieces[0].first / page * page
	key := pageKey{d.group.direction, protocol, first}
	if w, found := d.written.pages[key]; found && slices.Equal(w.ports.verdicts, pieces) {
		d.specs[w.ports.name], d.chains[w.name] = w.ports, w.chain
		return w.name
	}
	m := &setSpec{verdicts: slices.Clone(pieces)}
	about := fmt.Sprintf("%s %s-%d", d.group.direction, nftProtocol[protocol], first)
	d.buffers.content = append(d.buffers.content[:0], about...)
	ranges := false
	for _, p := range pieces {
		ranges = ranges || p.first < p.last
		d.buffers.content = append(d.buffers.content, ' ')
		d.buffers.content = strconv.AppendInt(d.buffers.content, int64(p.first), 10)
		d.buffers.content = append(d.buffers.content, '-')
		d.buffers.content = strconv.AppendInt(d.buffers.content, int64(p.last), 10)
		d.buffers.content = append(d.buffers.content, ' ')
		d.buffers.content = append(d.buffers.content, p.verdict...)
	}
	m.name = hashedName("page", about, d.buffers.content)
	m.set = portMap(about, ranges)
	d.specs[m.name] = m
	rules := []nft.Rule{lookUp(protocol, m.name), nft.RuleOf(expr.GoTo(deniedChain[d.group.direction]))}
	chain := nft.Chain{Comment: remark("ports of " + about), Rules: rules}
	name := hashedName(string(d.group.direction)+"-page", fmt.Sprintf("%s-%d", nftProtocol[protocol], first), m.name)
	d.chains[name] = chain
	d.written.keep(key, writtenPage{name, chain, m})
	return name
}

// portVerdict writes the chain for the ports that all of these rules have, and returns the verdict that leads to it. The
// name depends on the contents, so groups share the chain, and a group with one more policy keeps it.
func (d *chainBuilder) portVerdict(all []*portGroup) string {
	if len(all) == 1 { // as for most ports
		if all[0].alone == "" {
			all[0].alone = d.writePortChain(all)
		}
		return all[0].alone
	}
	d.buffers.content = d.buffers.content[:0]
	for _, s := range all {
		d.buffers.content = binary.NativeEndian.AppendUint32(d.buffers.content, uint32(s.index))
	}
	if verdict, written := d.byPorts[string(d.buffers.content)]; written {
		return verdict
	}
	known := string(d.buffers.content)
	d.byPorts[known] = d.writePortChain(all)
	return d.byPorts[known]
}

// writePortChain writes the chain, and returns the verdict that leads there.
func (d *chainBuilder) writePortChain(all []*portGroup) string {
	only := all[0].only
	// Groups that lead on to others come and go with the claims to addresses, without a limit.
	if len(all) > 1 || only == nil || d.group.then != nil || d.merges(all[0]) {
		return d.newPortChain(all)
	}
	key := chainKey{all[0].port.key, fmt.Sprint(d.families), d.group.direction}
	w, found := only.written[key]
	if !found {
		w.verdict = d.newPortChain(all)
		w.name = strings.TrimPrefix(w.verdict, "goto ")
		w.chain = d.chains[w.name]
		if only.written == nil {
			only.written = map[chainKey]writtenChain{}
		}
		only.written[key] = w
		return w.verdict
	}
	d.chains[w.name] = w.chain
	for _, f := range d.families {
		for _, peer := range d.merge(all[0], f) {
			d.specs[peer.name] = peer.setSpec
		}
	}
	return w.verdict
}

// newPortChain writes a chain that no group has written before.
func (d *chainBuilder) newPortChain(all []*portGroup) string {
	ports := make([]string, 0, len(all))
	for _, s := range all {
		ports = append(ports, s.port.key)
	}
	joined := &portGroup{port: portMatch{key: strings.Join(ports, " and ")}, peers: map[family]*peerSets{}}
	for _, s := range all {
		joined.join(s)
	}
	rules := append(d.lines(joined, nil), nft.RuleOf(expr.GoTo(deniedChain[d.group.direction])))
	content := make([]struct{ expr, comment string }, len(rules))
	for i, r := range rules {
		content[i].expr, content[i].comment = r.Exprs.String(), r.Comment
	}
	name := hashedName(string(d.group.direction)+"-port", rules[0].Comment, fmt.Sprintf("%s %q", d.group.direction, content))
	d.chains[name] = nft.Chain{Comment: "at some ports", Rules: rules}
	return "goto " + name
}

// join adds the peers of other rules.
func (s *portGroup) join(o *portGroup) {
	if s.any == "" {
		s.any = o.any
	}
	for f, peers := range o.peers {
		for _, peer := range slices.Concat(peers.pods, peers.blocks) {
			s.of(f).add(peer)
		}
	}
}

// A group with one more policy leads to nearly the same chains as another group before. Written chains are kept, because
// writing and naming them again takes longer than everything else about the policy.

// chainKey distinguishes the chains of one rule.
type chainKey struct {
	port, families string
	direction      Direction
}

// writtenChain is a chain of one rule, and the verdict that leads to it.
type writtenChain struct {
	name, verdict string
	chain         nft.Chain
}

// pageKey is the place of a page.
type pageKey struct {
	direction Direction
	protocol  corev1.Protocol
	first     int32
}

// writtenPage is the chain of a page, and the map in which it looks up ports.
type writtenPage struct {
	name  string
	chain nft.Chain
	ports *setSpec
}

// writtenPages are the last pages that were written in each place, while something leads to them.
type writtenPages struct {
	pages map[pageKey]writtenPage
	keys  map[string]pageKey // by the names of their chains
}

func (w *writtenPages) keep(key pageKey, page writtenPage) {
	if w.pages == nil {
		w.pages, w.keys = map[pageKey]writtenPage{}, map[string]pageKey{}
	}
	w.forget(w.pages[key].name)
	w.pages[key], w.keys[page.name] = page, key
}

// forget forgets the page of a chain, if it is one.
func (w *writtenPages) forget(chain string) {
	if key, found := w.keys[chain]; found {
		delete(w.keys, chain)
		delete(w.pages, key)
	}
}
