package flows

import (
	"net/netip"
	"sync"
	"time"
	"unique"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/enforcer/compile"
)

// Retention is how long a connection is remembered after it was last seen, unless somebody asks for another time.
const Retention = time.Hour

// sameElement is by how much the readings of one element's beginning may differ: a reading may take its time. The next
// element of a connection begins when the one before has ended.
const sameElement = compile.RecordTimeout / 2

// Options are what Flows does.
type Options struct {
	Node string
	// Retention is how long a connection is remembered after it was last seen; Retention if it is 0.
	Retention time.Duration
	// Log says that somebody takes the lines of Due.
	Log bool
}

// Flows knows the connections that the kernel of a node saw, and names them. It is safe for concurrent use. Times are
// compared by their monotonic clock, if they have one, so that no change of the time moves a connection to another pod.
type Flows struct {
	options Options
	begun   time.Time
	news    news

	// mu is held while connections are named. Whoever tells of a change does not take it.
	mu       sync.Mutex
	history  *history
	policies *policies
	memory   *memory
	entries  map[key]*entry
	classes  *classes
	readings int
	last     time.Duration // when the kernel was read last
	swept    time.Duration // when what is too old was last looked for
	// unnamed are those of which an end may become known.
	unnamed []*connection
	// unlogged are those that no line was written about as they are.
	unlogged []*connection
	totals   totals
	missed   missed
}

// New returns one that knows nothing yet.
func New(o Options, now time.Time) *Flows {
	if o.Retention == 0 {
		o.Retention = Retention
	}
	return &Flows{
		options: o, begun: now, history: newHistory(), policies: newPolicies(), memory: newMemory(),
		entries: map[key]*entry{}, classes: newClasses(), totals: newTotals(), missed: newMissed(),
	}
}

func (f *Flows) at(t time.Time) time.Duration { return t.Sub(f.begun) }

// key is a Key, small.
type key struct {
	initiator, server netip.Addr
	port              uint16
	protocol, class   uint8
}

// class is what of a Key there are few of.
type class struct {
	verdict   connections.Verdict
	direction connections.Direction
	reason    string
}

// classes numbers them.
type classes struct {
	numbers map[class]uint8
	all     []class
}

func newClasses() *classes { return &classes{numbers: map[class]uint8{}} }

// of returns the number of a class; false if there are too many, which only a broken reader makes.
func (cs *classes) of(k *Key) (uint8, bool) {
	c := class{k.Verdict, k.Direction, k.Reason}
	number, known := cs.numbers[c]
	if !known {
		if len(cs.all) > 0xff {
			return 0, false
		}
		number = uint8(len(cs.all))
		cs.numbers[c] = number
		cs.all = append(cs.all, c)
	}
	return number, true
}

// entry is an element of the kernel, and the connections that it was of, the latest first.
type entry struct {
	count   uint64
	created time.Duration
	reading int // the last one that it was in
	named   int // the change of the history since which the latest are those who have the addresses; 0 if they may not be
	latest  *connection
}

// connection is what is known of connections from one pod, or address, to another.
type connection struct {
	key                 key
	source, destination end
	because             []connections.PolicyReference
	first, last         time.Duration
	count               uint64
	older               *connection // of the same key

	from           *initiator // nil if it is forgotten
	next, previous *connection

	unnamed  bool
	uncount  uint64 // of the count, what is not in the totals
	unlogged uint64 // of the count, what is in no line
	queued   bool   // it is among the unlogged
	logged   time.Duration
}

// end is who was at an end, and what selected it then. Who is nil if no pod was, as far as is known.
type end struct {
	who  *person
	tier unique.Handle[tierName] // its zero value until somebody looked
}

// tierName is an AppTier and a tier of it.
type tierName struct{ appTier, tier string }

func (e end) selected() (appTier, tier string) {
	if e.tier == (unique.Handle[tierName]{}) {
		return "", ""
	}
	name := e.tier.Value()
	return name.appTier, name.tier
}

func (e end) namespace() string {
	if e.who == nil {
		return ""
	}
	return e.who.pod.Namespace
}

func (f *Flows) shareOf(c *connection) share {
	switch {
	case c.source.who != nil:
		return share{c.source.namespace(), fromPod}
	case f.classes.all[c.key.class].reason == spoofed:
		return share{c.destination.namespace(), fromSpoofed}
	default:
		return share{c.destination.namespace(), fromOutside}
	}
}
