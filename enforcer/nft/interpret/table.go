package interpret

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/knftables"

	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/nft/expr"
)

// Table is a table that is ready to be asked.
type Table struct {
	chains map[string]nft.Chain
	sets   map[string]set
	// Dynamic is what dynamic sets do; Empty unless it is set.
	Dynamic Dynamic
}

// Dynamic is how a packet finds dynamic sets: what they have depends on the packets before it.
type Dynamic uint8

// What dynamic sets do with a packet.
const (
	// Empty sets lack its key, and take it.
	Empty Dynamic = iota
	// Full sets lack its key, and do not take it; or its limit is exceeded.
	Full
	// Known says that they have its key.
	Known
)

// Recorded is a key that a rule put into a dynamic set, where it counts.
type Recorded struct{ Set, Key string }

// set is a set or a map: elements by their keys, or ranges in their order.
type set struct {
	elements map[string]expr.Verdict
	ranges   []interval
	dynamic  bool
	// ports are those of the elements, by what their keys have before the port; sorted. Nil if no key ends in one.
	ports map[string][]uint16
}

// interval is a range of keys, both ends included.
type interval struct {
	first, last key
	verdict     expr.Verdict
}

// key is an address or a port, in the order of their numbers.
type key struct {
	address netip.Addr
	port    uint16
}

func (k key) compare(o key) int {
	return cmp.Or(k.address.Compare(o.address), cmp.Compare(k.port, o.port))
}

// New prepares a table. Its error names an element that cannot be read.
func New(t nft.Table) (*Table, error) {
	out := &Table{chains: t.Chains, sets: make(map[string]set, len(t.Sets))}
	for name, s := range t.Sets {
		prepared, err := prepare(s)
		if err != nil {
			return nil, fmt.Errorf("set %s: %w", name, err)
		}
		out.sets[name] = prepared
	}
	return out, nil
}

func prepare(s nft.Set) (set, error) {
	out := set{elements: make(map[string]expr.Verdict, len(s.Elements)), dynamic: s.Dynamic != (nft.Dynamic{})}
	for text, element := range s.Elements {
		verdict := expr.ParseVerdict(element.Value)
		if element.Value != "" && verdict == (expr.Verdict{}) {
			return out, fmt.Errorf("element %s has the value %q, which is no verdict", text, element.Value)
		}
		if !s.Interval {
			out.elements[text] = verdict
			if err := out.addPort(s.Key, text); err != nil {
				return out, err
			}
			continue
		}
		first, last, isRange := strings.Cut(text, "-")
		if !isRange {
			last = first
		}
		from, err := parseKey(first)
		to, err2 := parseKey(last)
		if err := errors.Join(err, err2); err != nil {
			return out, fmt.Errorf("element %s: %w", text, err)
		}
		out.ranges = append(out.ranges, interval{from, to, verdict})
	}
	slices.SortFunc(out.ranges, func(a, b interval) int { return a.first.compare(b.first) })
	for _, ports := range out.ports {
		slices.Sort(ports)
	}
	return out, nil
}

// addPort notes the port that a key ends in, if the keys of this type do.
func (s *set) addPort(keyType, text string) error {
	if keyType != expr.Service.String() && !strings.HasSuffix(keyType, nft.Key("", expr.Service.String())) {
		return nil
	}
	before, last := cutLast(text)
	port, err := strconv.ParseUint(last, 10, 16)
	if err != nil {
		return fmt.Errorf("element %s: %w", text, err)
	}
	if s.ports == nil {
		s.ports = map[string][]uint16{}
	}
	s.ports[before] = append(s.ports[before], uint16(port))
	return nil
}

// cutLast cuts the last part of a key off.
func cutLast(text string) (before, last string) {
	separator := nft.Key("", "")
	if i := strings.LastIndex(text, separator); i >= 0 {
		return text[:i], text[i+len(separator):]
	}
	return "", text
}

func parseKey(text string) (key, error) {
	if port, err := strconv.ParseUint(text, 10, 16); err == nil {
		return key{port: uint16(port)}, nil
	}
	address, err := netip.ParseAddr(text)
	return key{address: address}, err
}

// verdict looks a key up, which text is as elements have it.
func (s set) verdict(text string, k key) (expr.Verdict, bool) {
	if len(s.ranges) == 0 {
		verdict, found := s.elements[text]
		return verdict, found
	}
	i, exact := slices.BinarySearchFunc(s.ranges, k, func(r interval, k key) int { return r.first.compare(k) })
	if !exact {
		i--
	}
	if i < 0 || s.ranges[i].last.compare(k) < 0 {
		return expr.Verdict{}, false
	}
	return s.ranges[i].verdict, true
}

// portsLike returns the ports around one, of which a lookup of the same other fields finds the same, or finds
// nothing as it does.
func (s set) portsLike(text string, port uint16) Ports {
	if len(s.ranges) > 0 {
		return s.rangeLike(port)
	}
	before, _ := cutLast(text)
	of := s.ports[before]
	i, found := slices.BinarySearch(of, port)
	if found {
		return Ports{port, port}
	}
	out := everyPort
	if i > 0 {
		out.First = of[i-1] + 1
	}
	if i < len(of) {
		out.Last = of[i] - 1
	}
	return out
}

func (s set) rangeLike(port uint16) Ports {
	out := everyPort
	for _, r := range s.ranges {
		switch {
		case r.last.port < port:
			out.First = r.last.port + 1
		case r.first.port > port:
			out.Last = r.first.port - 1
			return out
		default:
			return Ports{r.first.port, r.last.port}
		}
	}
	return out
}

// Ports is a range of ports, both ends included.
type Ports struct{ First, Last uint16 }

var everyPort = Ports{0, 65535}

func (p Ports) and(o Ports) Ports { return Ports{max(p.First, o.First), min(p.Last, o.Last)} }

// Result is what became of a packet.
type Result struct {
	Accepted bool
	// ServerPorts are ports around the server's: with any of them, and all else as it is, the same rules had matched.
	ServerPorts Ports
	// Chain is the one whose rule decided, or whose policy did.
	Chain string
	// Mark is what the connection's mark is afterwards.
	Mark uint32
	// Counters are the counters that counted the packet, in their order.
	Counters []string
	// Recorded are the keys that it puts into dynamic sets.
	Recorded []Recorded
}

// Run has a packet go through a base chain. Its error says which chain or set is not there.
func (t *Table) Run(base string, p Packet) (Result, error) {
	chain, found := t.chains[base]
	if !found || chain.Base == nil {
		return Result{}, fmt.Errorf("there is no base chain %s", base)
	}
	r := run{table: t, packet: p, ports: everyPort}
	verdict, err := r.chain(base)
	if err != nil {
		return Result{}, err
	}
	if verdict == (expr.Verdict{}) {
		r.decided = base
		verdict = expr.Accept
		if chain.Base.Policy == knftables.DropPolicy {
			verdict = expr.Drop
		}
	}
	return Result{Accepted: verdict == expr.Accept, Chain: r.decided, Mark: r.packet.Mark, Counters: r.counters, Recorded: r.recorded, ServerPorts: r.ports}, nil
}
