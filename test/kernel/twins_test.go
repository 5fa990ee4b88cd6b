package kernel

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/wire"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

// twins are two kernels that get the same transactions: one by the nft program, one over netlink.
type twins struct {
	program, direct netns.NsHandle
	byProgram       nft.Writer
	conn            *wire.Conn
}

func newTwins(t testing.TB) *twins {
	t.Helper()
	lab.RequireKernel(t)
	w := &twins{program: lab.NewNamespace(t), direct: lab.NewNamespace(t)}
	w.byProgram = onlyProgram(openNode(t, w.program))
	w.conn = openWire(t, w.direct)
	return w
}

// onlyProgram hides that a kernel could do better than to run the nft program.
func onlyProgram(kernel nft.Writer) nft.Writer { return struct{ nft.Writer }{kernel} }

func openWire(t testing.TB, ns netns.NsHandle) (conn *wire.Conn) {
	t.Helper()
	lab.Must(t, network.In(ns, func() (err error) {
		conn, err = wire.Open(compile.TableName)
		return err
	}))
	t.Cleanup(func() { lab.Must(t, conn.Close()) })
	return conn
}

// apply gives the steps to both. It fails when package wire does not know one.
func (w *twins) apply(t lab.Tester, ops []nft.Op) {
	t.Helper()
	lab.Must(t, nft.Apply(context.Background(), w.byProgram, ops))
	lab.Must(t, w.conn.Run(ops))
}

// compare fails when the two kernels do not hold the same: by nft's listings, and byte by byte.
func (w *twins) compare(t lab.Tester) {
	t.Helper()
	for _, listing := range []func(lab.Tester, netns.NsHandle) string{list, listJSON, dump} {
		if diff := cmp.Diff(strings.Split(listing(t, w.program), "\n"), strings.Split(listing(t, w.direct), "\n")); diff != "" {
			lab.Must(t, fmt.Errorf("by the program, but not over netlink (-), or the other way round (+):\n%s", diff))
		}
	}
}

// compareListed fails when what package wire lists is not what the table has.
func (w *twins) compareListed(t lab.Tester, table nft.Table) {
	t.Helper()
	listing, err := w.conn.List(true)
	lab.Must(t, err)
	want := map[string]map[string]string{}
	for name, set := range table.Sets {
		want[name] = map[string]string{}
		for key, element := range set.Elements {
			want[name][key] = element.Value
		}
	}
	if diff := cmp.Diff(want, listing.Sets); diff != "" {
		lab.Must(t, fmt.Errorf("elements (-table +listed):\n%s", diff))
	}
	rules := map[string]int{}
	for name, chain := range table.Chains {
		rules[name] = len(chain.Rules)
	}
	for name, chain := range listing.Chains {
		if rules[name] != len(chain.Rules) || table.Chains[name].Base.In(table.Family) != chain.Base {
			lab.Must(t, fmt.Errorf("chain %s: %d rules, base %q", name, len(chain.Rules), chain.Base))
		}
		delete(rules, name)
	}
	if len(rules) > 0 || len(listing.Counters) != len(table.Counters) {
		lab.Must(t, fmt.Errorf("chains %v are missing, or some of the counters %v", rules, listing.Counters))
	}
}

var handles = regexp.MustCompile(`, "handle": \d+|"metainfo": \{[^}]*\}`)

// listJSON returns the table as nft prints it for programs, an object a line. Elements are sorted.
func listJSON(t lab.Tester, ns netns.NsHandle) string {
	t.Helper()
	var out []byte
	lab.Must(t, network.In(ns, func() (err error) {
		out, err = exec.CommandContext(context.Background(), "nft", "-j", "list", "table", string(compile.TableFamily), compile.TableName).Output()
		return err
	}))
	text := handles.ReplaceAllString(string(out), "")
	text = strings.ReplaceAll(text, `}}, {"`, "}},\n{\"")
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if head, elements, ok := strings.Cut(line, `"elem": [`); ok {
			parts := strings.Split(strings.TrimRight(elements, "]},"), ", ")
			slices.Sort(parts) // not what a reader would do, but the same parts are the same elements
			lines[i] = head + strings.Join(parts, "\n")
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// dumps are the kernel's own listings, and the attributes that differ between any two tables: numbers
// that the kernel gives out.
var dumps = []struct {
	name    string
	message int
	differ  []uint16
}{
	{"table", unix.NFT_MSG_GETTABLE, []uint16{4}},                                            // NFTA_TABLE_HANDLE
	{"chain", unix.NFT_MSG_GETCHAIN, []uint16{unix.NFTA_CHAIN_HANDLE}},                       //
	{"rule", unix.NFT_MSG_GETRULE, []uint16{unix.NFTA_RULE_HANDLE, unix.NFTA_RULE_POSITION}}, //
	{"set", unix.NFT_MSG_GETSET, []uint16{16, 20}},                                           // NFTA_SET_HANDLE, and NFTA_SET_COUNT: see dumpElements
	{"object", unix.NFT_MSG_GETOBJ, []uint16{6}},                                             // NFTA_OBJ_HANDLE
}

// dump returns what the kernel says of the table, byte by byte.
func dump(t lab.Tester, ns netns.NsHandle) string {
	t.Helper()
	var lines []string
	lab.Must(t, network.In(ns, func() error {
		for _, d := range dumps {
			objects, err := request(d.message)
			if err != nil {
				return fmt.Errorf("%s: %w", d.name, err)
			}
			for i, o := range objects {
				for _, attribute := range d.differ {
					delete(o, attribute)
				}
				line := fmt.Sprintf("%s %s", d.name, describe(o))
				if d.name == "rule" {
					line = fmt.Sprintf("%s %s %03d %s", d.name, o[unix.NFTA_RULE_CHAIN], i, describe(o))
				}
				lines = append(lines, line)
				if d.name == "set" {
					elements, err := dumpElements(string(o[unix.NFTA_SET_NAME]))
					if err != nil {
						return fmt.Errorf("elements: %w", err)
					}
					lines = append(lines, elements...)
				}
			}
		}
		return nil
	}))
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func describe(attributes map[uint16][]byte) string {
	var b strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(attributes)) {
		fmt.Fprintf(&b, " %d=%s", kind, printable(attributes[kind]))
	}
	return b.String()
}

// printable shows text within bytes as such: names of expressions, for example.
func printable(value []byte) string {
	return regexp.MustCompile(`((?:2[d-e]|3[0-9]|4[1-9a-f]|5[0-9a]|6[1-9a-f]|7[0-9a]){3,})`).ReplaceAllStringFunc(hex.EncodeToString(value), func(s string) string {
		if text, err := hex.DecodeString(s); err == nil {
			return "'" + string(text) + "'"
		}
		return s
	})
}

// request lists objects of the table.
func request(message int, extra ...*nl.RtAttr) ([]map[uint16][]byte, error) {
	r := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|message, unix.NLM_F_DUMP)
	r.AddData(&nl.Nfgenmsg{NfgenFamily: unix.NFPROTO_INET})
	for _, attribute := range extra {
		r.AddData(attribute)
	}
	answers, err := r.Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil {
		return nil, err
	}
	var out []map[uint16][]byte
	for _, answer := range answers {
		object, err := attributesOf(answer[nl.SizeofNfgenmsg:])
		if err != nil {
			return nil, err
		}
		out = append(out, object)
	}
	return out, nil
}

func attributesOf(b []byte) (map[uint16][]byte, error) {
	list, err := nl.ParseRouteAttr(b)
	if err != nil {
		return nil, err
	}
	attributes := map[uint16][]byte{}
	for _, a := range list {
		attributes[a.Attr.Type&^unix.NLA_F_NESTED] = a.Value
	}
	return attributes, nil
}

// dumpElements lists the elements of a set. It leaves out the mark that nothing lies before the first
// interval, which nft writes at times, and which has no meaning: lookups find nothing there anyway.
func dumpElements(set string) ([]string, error) {
	messages, err := request(unix.NFT_MSG_GETSETELEM,
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_TABLE, nl.ZeroTerminated(compile.TableName)),
		nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_SET, []byte(set)))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, m := range messages {
		elements, err := nl.ParseRouteAttr(m[unix.NFTA_SET_ELEM_LIST_ELEMENTS])
		if err != nil {
			return nil, err
		}
		for _, e := range elements {
			parts, err := attributesOf(e.Value)
			if err != nil {
				return nil, err
			}
			isEnd := bytes.Equal(parts[unix.NFTA_SET_ELEM_FLAGS], nl.BEUint32Attr(unix.NFT_SET_ELEM_INTERVAL_END))
			key, err := attributesOf(parts[unix.NFTA_SET_ELEM_KEY])
			if err != nil {
				return nil, err
			}
			if isEnd && len(bytes.Trim(key[unix.NFTA_DATA_VALUE], "\x00")) == 0 {
				continue
			}
			out = append(out, fmt.Sprintf("element %s %x", set, e.Value))
		}
	}
	return out, nil
}
