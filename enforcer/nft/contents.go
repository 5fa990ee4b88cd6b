package nft

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
	"sigs.k8s.io/knftables"
)

// Contents is what a kernel holds of a table, as far as it can be compared with a Table: rules come
// in another form than they were written in.
type Contents struct {
	// Flagged says that the table has a flag: none is ours, and one of them, dormant, switches it off.
	Flagged  bool
	Chains   map[string]ChainContents
	Sets     map[string]map[string]Element
	Counters map[string]bool
}

// ChainContents is a chain and its rules.
type ChainContents struct {
	// Base names the hook of a base chain and its policy.
	Base  string
	Rules []string
}

// Contents lists the table; it is empty when there is none.
func (k realKernel) Contents(ctx context.Context) (Contents, error) {
	cmd := exec.CommandContext(ctx, "nft", "--json", "--stateless", "list", "table", string(k.family), k.table)
	cmd.Env = append(os.Environ(), "LC_ALL=C") // errors are told apart by their text
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		if strings.Contains(complaint.String(), "No such file or directory") {
			return newContents(), nil
		}
		return Contents{}, fmt.Errorf("listing the table: %w: %s", err, complaint.String())
	}
	return parseContents(out.Bytes())
}

// Revision returns the number of the kernel's nftables transactions, whoever made them, so that
// nothing has changed as long as it stays: NFT_MSG_GETGEN of linux/netfilter/nf_tables.h.
func (k realKernel) Revision(context.Context) (uint32, error) {
	answers, err := ask(unix.NFT_MSG_GETGEN, 0, unix.AF_UNSPEC)
	if err != nil {
		return 0, fmt.Errorf("asking for the revision of the rules: %w", err)
	}
	for _, answer := range answers {
		if id := answer[unix.NFTA_GEN_ID].Value; len(id) == 4 {
			return binary.BigEndian.Uint32(id), nil
		}
	}
	return 0, errors.New("asking for the revision of the rules: no answer")
}

// ListCounters is knftables', without the nft program: metrics ask for it all the time. There are none
// without the table.
func (k realKernel) ListCounters(ctx context.Context) ([]*knftables.Counter, error) {
	if k.family != Inet {
		return k.Interface.ListCounters(ctx)
	}
	answers, err := ask(unix.NFT_MSG_GETOBJ, unix.NLM_F_DUMP, unix.NFPROTO_INET,
		nl.NewRtAttr(unix.NFTA_OBJ_TABLE, nl.ZeroTerminated(k.table)),
		nl.NewRtAttr(unix.NFTA_OBJ_TYPE, nl.BEUint32Attr(unix.NFT_OBJECT_COUNTER)))
	if err != nil {
		return nil, fmt.Errorf("asking for counters: %w", err)
	}
	var counters []*knftables.Counter
	for _, answer := range answers {
		data, err := nl.ParseRouteAttrAsMap(answer[unix.NFTA_OBJ_DATA].Value)
		if err != nil {
			return nil, fmt.Errorf("asking for counters: %w", err)
		}
		packets, octets := data[unix.NFTA_COUNTER_PACKETS].Value, data[unix.NFTA_COUNTER_BYTES].Value
		if len(packets) != 8 || len(octets) != 8 {
			return nil, errors.New("asking for counters: an answer without a count")
		}
		counters = append(counters, &knftables.Counter{
			Name:    unix.ByteSliceToString(answer[unix.NFTA_OBJ_NAME].Value),
			Packets: knftables.PtrTo(binary.BigEndian.Uint64(packets)),
			Bytes:   knftables.PtrTo(binary.BigEndian.Uint64(octets)),
		})
	}
	return counters, nil
}

// ask sends a request to nf_tables, and returns the attributes of each answer.
func ask(message, flags int, family uint8, attributes ...*nl.RtAttr) ([]map[uint16]syscall.NetlinkRouteAttr, error) {
	request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|message, flags)
	request.AddData(&nl.Nfgenmsg{NfgenFamily: family})
	for _, a := range attributes {
		request.AddData(a)
	}
	answers, err := request.Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil {
		return nil, err
	}
	var parsed []map[uint16]syscall.NetlinkRouteAttr
	for _, answer := range answers {
		attributes, err := nl.ParseRouteAttrAsMap(answer[min(len(answer), nl.SizeofNfgenmsg):])
		if err != nil {
			return nil, err
		}
		for kind, a := range attributes {
			if kind&unix.NLA_F_NESTED != 0 { // some kernels say so, some do not
				attributes[kind&^unix.NLA_F_NESTED] = a
			}
		}
		parsed = append(parsed, attributes)
	}
	return parsed, nil
}

func newContents() Contents {
	return Contents{Chains: map[string]ChainContents{}, Sets: map[string]map[string]Element{}, Counters: map[string]bool{}}
}

// listed is one object of nft's JSON output: libnftables-json(5).
type listed struct {
	Table   *struct{ Flags any }
	Counter *struct{ Name string }
	Chain   *struct {
		Name, Type, Hook, Policy string
		Prio                     int
	}
	Set, Map *struct {
		Name string
		Elem []json.RawMessage
	}
	Rule *struct {
		Chain, Comment string
		Expr           json.RawMessage
	}
}

func parseContents(text []byte) (Contents, error) {
	var all struct{ Nftables []listed }
	if err := json.Unmarshal(text, &all); err != nil {
		return Contents{}, fmt.Errorf("reading nft's list of the table: %w", err)
	}
	c := newContents()
	for _, o := range all.Nftables {
		switch {
		case o.Table != nil:
			c.Flagged = o.Table.Flags != nil // which one, nft 1.0.6 does not tell
		case o.Counter != nil:
			c.Counters[o.Counter.Name] = true
		case o.Chain != nil:
			chain := c.Chains[o.Chain.Name]
			if o.Chain.Hook != "" {
				chain.Base = fmt.Sprintf("%s %s %d %s", o.Chain.Type, o.Chain.Hook, o.Chain.Prio, o.Chain.Policy)
			}
			c.Chains[o.Chain.Name] = chain
		case o.Rule != nil:
			chain := c.Chains[o.Rule.Chain]
			chain.Rules = append(chain.Rules, fmt.Sprintf("%s %q", o.Rule.Expr, o.Rule.Comment))
			c.Chains[o.Rule.Chain] = chain
		case o.Set != nil:
			c.Sets[o.Set.Name] = parseElements(o.Set.Elem)
		case o.Map != nil:
			c.Sets[o.Map.Name] = parseElements(o.Map.Elem)
		}
	}
	return c, nil
}

func parseElements(list []json.RawMessage) map[string]Element {
	elements := make(map[string]Element, len(list))
	for _, raw := range list {
		var pair []json.RawMessage // of a map
		if json.Unmarshal(raw, &pair) == nil && len(pair) == 2 {
			elements[parseKey(pair[0])] = Element{Value: parseVerdict(pair[1])}
			continue
		}
		elements[parseKey(raw)] = Element{}
	}
	return elements
}

// parseKey writes a key as a Table does. What it does not know stays as it is, and equals nothing.
func parseKey(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return canonicalKey(text)
	}
	var o struct {
		Elem   *struct{ Val json.RawMessage }
		Range  []json.RawMessage
		Concat []json.RawMessage
		Prefix *struct {
			Addr string
			Len  int
		}
	}
	if json.Unmarshal(raw, &o) != nil {
		return string(raw) // a number
	}
	join := func(parts []json.RawMessage, separator string) string {
		texts := make([]string, 0, len(parts))
		for _, p := range parts {
			texts = append(texts, parseKey(p))
		}
		return strings.Join(texts, separator)
	}
	switch {
	case o.Elem != nil:
		return parseKey(o.Elem.Val)
	case o.Range != nil:
		return join(o.Range, "-")
	case o.Concat != nil:
		return join(o.Concat, keySeparator)
	case o.Prefix != nil:
		return canonicalKey(fmt.Sprintf("%s/%d", o.Prefix.Addr, o.Prefix.Len))
	default:
		return string(raw)
	}
}

// canonicalKey writes addresses in one way, and a prefix as the range that it is.
func canonicalKey(text string) string {
	if address, err := netip.ParseAddr(text); err == nil {
		return address.String()
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return text
	}
	last := prefix.Masked().Addr().AsSlice()
	for bit := prefix.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 1 << (7 - bit%8)
	}
	end, _ := netip.AddrFromSlice(last)
	return prefix.Masked().Addr().String() + "-" + end.String()
}

func parseVerdict(raw json.RawMessage) string {
	var verdict map[string]*struct{ Target string }
	if json.Unmarshal(raw, &verdict) != nil || len(verdict) != 1 {
		return string(raw)
	}
	for word, argument := range verdict {
		if argument == nil {
			return word
		}
		return word + " " + argument.Target
	}
	return ""
}
