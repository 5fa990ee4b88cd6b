package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
)

// Feature is a feature of nf_tables that the rules need.
type Feature struct {
	// Name is its name, and Needs the kernel's options and the version of Linux that added it.
	Name, Needs string
	// Table is a small one that needs it.
	Table nft.Table
}

// probeTable is the name of features' tables. No other process ever sees it.
const probeTable = "apptier-features"

// Features are what the kernel must know. Versions are those of the commits that brought the numbers of
// include/uapi/linux/netfilter/nf_tables.h, options those of net/netfilter/Kconfig and net/bridge/netfilter/Kconfig.
func Features() []Feature {
	const (
		core      = "CONFIG_NF_TABLES, Linux 3.13"
		families  = "CONFIG_NF_TABLES_INET, Linux 3.14"
		bridges   = "CONFIG_NF_TABLES_BRIDGE"
		conntrack = "CONFIG_NFT_CT"
		kinds     = "CONFIG_NF_TABLES, Linux 5.1" // NFT_META_IIFKIND
	)
	return []Feature{
		{"tables of the family inet", families, base(nft.Inet, nft.PreroutingHook, nft.RawPriority)},
		{"the hook forward of the family inet", families, base(nft.Inet, nft.ForwardHook, nft.FilterPriority)},
		{"sets", core, table(nft.Inet, sets{"s": {Key: "ipv4_addr", Elements: keys("10.0.0.1")}}, rule{expr.In("s", expr.Source4), expr.Drop})},
		{"sets of intervals", core, table(nft.Inet,
			sets{"s": {Key: "ipv4_addr", Interval: true, Elements: keys("10.0.0.0-10.0.0.9")}}, rule{expr.In("s", expr.Source4), expr.Drop})},
		{"sets of concatenated keys", "CONFIG_NF_TABLES, Linux 4.1", table(nft.Inet,
			sets{"s": {Key: "ipv4_addr . ipv4_addr", Elements: keys("10.0.0.1 . 10.0.0.2")}}, rule{expr.In("s", expr.Source4, expr.Destination4), expr.Drop})},
		{"verdict maps", core, table(nft.Inet,
			sets{"m": {Key: "ipv4_addr", Value: "verdict", Elements: verdicts("10.0.0.1")}}, rule{expr.By("m", expr.Source4)})},
		{"verdict maps of intervals", core, table(nft.Inet,
			sets{"m": {Key: "inet_service", Value: "verdict", Interval: true, Elements: verdicts("80-443")}},
			rule{expr.Of(expr.TCP), expr.By("m", expr.ReplyPort)})},
		{"the state of connections (ct state)", conntrack + ", Linux 3.13", table(nft.Inet, nil, rule{expr.Invalid | expr.Untracked, expr.Drop})},
		{"the marks of connections (ct mark)", conntrack + " and CONFIG_NF_CONNTRACK_MARK, Linux 3.14", table(nft.Inet, nil,
			rule{expr.MarkIs{Mask: 0xffff0000, Value: 0x10000}, expr.Accept}, rule{expr.SetMark{Keep: 0xffff, Value: 0x10000}, expr.Accept})},
		{"the addresses of connections (ct original, ct reply)", conntrack + ", Linux 4.17", table(nft.Inet, // NFT_CT_SRC_IP
			sets{"four": {Key: "ipv4_addr"}, "six": {Key: "ipv6_addr"}},
			rule{expr.In("four", expr.OriginalSource4), expr.In("four", expr.ReplySource4), expr.Drop},
			rule{expr.In("six", expr.OriginalSource6), expr.In("six", expr.ReplySource6), expr.Drop})},
		{"whether routes are there (fib ... oif missing)", "CONFIG_NFT_FIB_INET, Linux 4.12", // NFTA_FIB_F_PRESENT
			table(nft.Inet, nil, rule{expr.RouteMissing{}, expr.Drop})},
		{"the types of addresses (fib daddr type)", "CONFIG_NFT_FIB_INET, Linux 4.10", table(nft.Inet, nil, rule{expr.ToKind{Kind: expr.Broadcast}, expr.Drop})},
		{"the kinds of links (meta iifkind)", kinds, table(nft.Inet, nil, rule{expr.LinkKind{Kind: "veth"}, expr.LinkKind{Out: true, Kind: "bridge"}, expr.Drop})},
		{"routing headers (exthdr)", "CONFIG_NF_TABLES, Linux 4.12", table(nft.Inet, nil, rule{expr.RoutingHeader{}, expr.Drop})}, // NFT_EXTHDR_F_PRESENT
		{"named counters", "CONFIG_NF_TABLES, with CONFIG_NFT_COUNTER before 5.16, Linux 4.10", counting()},                       // NFT_OBJECT_COUNTER
		{"sets that rules put elements in, with counters and limits (update)", "CONFIG_NFT_LIMIT and " + conntrack + ", Linux 4.1", recording()},
		{"tables of the family bridge", bridges + ", Linux 3.14", base(nft.Bridge, nft.PreroutingHook, nft.FilterPriority)},
		{"sets of ports, MACs and addresses on bridges", bridges + ", Linux 4.1", table(nft.Bridge,
			sets{"s": {Key: "ifname . ether_addr . ipv4_addr"}}, rule{expr.EtherType{Network: expr.IPv4}, expr.In("s", expr.InName, expr.EtherSource, expr.Source4), expr.Accept})},
		{"the kinds of links on bridges (meta iifkind)", kinds, table(nft.Bridge, nil,
			rule{expr.LinkKind{Kind: "veth"}, expr.LinkKind{Out: true, Kind: "veth"}, expr.Transport{Protocol: expr.ICMPv6, Not: true}, expr.Drop})},
	}
}

// recording puts elements into a set at a pace, and counts them.
func recording() nft.Table {
	dynamic := nft.Dynamic{Size: 1024, Timeout: time.Minute}
	return table(nft.Inet,
		sets{"pace": {Key: "ipv4_addr", Dynamic: dynamic}, "seen": {Key: "ipv4_addr . inet_proto . inet_service", Dynamic: dynamic}},
		rule{expr.Original, expr.Within(expr.Limit{Packets: 1, Per: time.Second, Burst: 5}, "pace", expr.OriginalSource4),
			expr.Count("seen", expr.OriginalSource4, expr.TransportProtocol, expr.TransportDestination), expr.Drop})
}

// Missing is a feature that the kernel does not have.
type Missing struct {
	Feature
	Err error
}

// Error names the feature, and what brings it.
func (m Missing) Error() string {
	return fmt.Sprintf("this kernel lacks %s (%s): %v", m.Name, m.Needs, m.Err)
}

// Unwrap returns the kernel's answer.
func (m Missing) Unwrap() error { return m.Err }

// probes are the kernel, by the family of features' tables.
type probes map[nft.Family]nft.Kernel

func openProbes() (probes, error) {
	p := probes{}
	for _, family := range []nft.Family{nft.Inet, nft.Bridge} {
		k, err := nft.Open(family, probeTable)
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p[family] = k
	}
	return p, nil
}

func (p probes) close() error {
	var errs []error
	for _, k := range p {
		if c, ok := k.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// ask asks for each feature, in a transaction of its own that is taken back. The error is of what could not be
// asked for.
func (p probes) ask(ctx context.Context, features []Feature) (missing []Missing, err error) {
	var unclear []error
	for _, f := range features {
		err := nft.Check(ctx, p[f.Table.Family], nft.Replace(f.Table))
		switch {
		case lacks(err):
			missing = append(missing, Missing{f, err})
		case err != nil:
			unclear = append(unclear, fmt.Errorf("asking the kernel for %s: %w", f.Name, err))
		}
	}
	return missing, errors.Join(unclear...)
}

// lacks says whether the error means that the kernel lacks a feature. Expressions and kinds of sets that no
// module brings are not there (nft_expr_type_get: ENOENT), nor are keys of expressions and families of tables
// supported (nft_meta_get_init, nf_tables_newtable: EOPNOTSUPP); what is checked first may be EINVAL.
func lacks(err error) bool {
	for _, errno := range []unix.Errno{unix.ENOENT, unix.EOPNOTSUPP, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.EINVAL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// describe says what is missing, each with what brings it.
func describe(missing []Missing) string {
	texts := make([]string, len(missing))
	for i, m := range missing {
		texts[i] = m.Error()
	}
	return strings.Join(texts, "; ")
}

type (
	sets = map[string]nft.Set
	rule = expr.List
)

// table holds rules in a chain that nothing leads to.
func table(of nft.Family, sets sets, rules ...rule) nft.Table {
	chain := nft.Chain{}
	for _, exprs := range rules {
		chain.Rules = append(chain.Rules, nft.RuleOf(exprs...))
	}
	return nft.Table{Family: of, Name: probeTable, Sets: sets, Chains: map[string]nft.Chain{"probe": chain}}
}

func base(of nft.Family, hook nft.Hook, priority nft.Priority) nft.Table {
	t := table(of, nil)
	t.Chains["base"] = nft.Chain{Base: &nft.Base{Hook: hook, Priority: priority, Policy: nft.AcceptPolicy}}
	return t
}

func counting() nft.Table {
	t := table(nft.Inet, nil, rule{expr.Counter{Name: "c"}, expr.Drop})
	t.Counters = map[string]nft.Counter{"c": {}}
	return t
}

func keys(names ...string) map[string]nft.Element {
	elements := map[string]nft.Element{}
	for _, name := range names {
		elements[name] = nft.Element{}
	}
	return elements
}

func verdicts(key string) map[string]nft.Element { return map[string]nft.Element{key: {Value: "drop"}} }
