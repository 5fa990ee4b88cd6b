package wire

import (
	"encoding/binary"
	"errors"
	"slices"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/knftables"
)

// batch is a transaction as the kernel reads it.
type batch struct {
	buffer
	first uint32 // the first message's sequence number; the others follow
	// acknowledged is the sequence number of a step's last message, which the kernel acknowledges.
	acknowledged uint32
	// messages and steps are where each message and the bytes of each step begin, ascending: the
	// kernel blames a message and perhaps an offset in it.
	messages, steps []int
}

// blame returns the index of the step that an offset into a message belongs to, or -1 when the
// message is not one of a step's.
func (b *batch) blame(sequence uint32, offset int) int {
	if sequence <= b.first || sequence > b.acknowledged {
		return -1
	}
	at := b.messages[sequence-b.first] + offset
	i, exact := slices.BinarySearch(b.steps, at)
	if exact {
		return i
	}
	return i - 1
}

// encoder makes a batch.
type encoder struct {
	batch
	table  string
	family byte // NFPROTO_*
	// sets are the sets whose elements may change.
	sets   map[string]definition
	setIDs uint32
	// flags of a new table; deleted says that the steps have deleted it before.
	flags   uint32
	deleted bool
	list    elementList
	scratch []byte
}

// encode returns the steps as one transaction, or without its end. The error is an UnsupportedError.
func (e *encoder) encode(first uint32, steps []Step, ends bool) (*batch, error) {
	e.first = first
	e.buffer = make(buffer, 0, usualStep*len(steps))
	e.steps = make([]int, 0, len(steps))
	e.mark(unix.NFNL_MSG_BATCH_BEGIN)
	for _, s := range steps {
		if err := e.step(s); err != nil {
			return nil, &UnsupportedError{s, err}
		}
	}
	e.list.end(e)
	sequence := first + uint32(len(e.messages)) - 1
	flags := e.buffer[e.messages[len(e.messages)-1]+6:] // of struct nlmsghdr
	binary.NativeEndian.PutUint16(flags, binary.NativeEndian.Uint16(flags)|unix.NLM_F_ACK)
	if ends {
		e.mark(unix.NFNL_MSG_BATCH_END)
	}
	e.acknowledged = sequence
	return &e.batch, nil
}

// usualStep is about what an element needs, in bytes; of large transactions most steps are.
const usualStep = 64

// mark writes the begin or the end of the transaction.
func (e *encoder) mark(kind uint16) {
	start := e.begin(kind, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)
	e.endMessage(start)
}

func (e *encoder) begin(kind, flags uint16, family byte, resource uint16) (start int) {
	sequence := e.first + uint32(len(e.messages))
	start = e.message(kind, unix.NLM_F_REQUEST|flags, sequence, family, resource)
	e.messages = append(e.messages, start)
	return start
}

// about begins a message about the table or something of it. The table's name is the same attribute
// in all of them: NFTA_CHAIN_TABLE, NFTA_RULE_TABLE and so on have one value.
func (e *encoder) about(kind, flags uint16) (start int) {
	start = e.begin(unix.NFNL_SUBSYS_NFTABLES<<8|kind, flags, e.family, 0)
	e.text(unix.NFTA_TABLE_NAME, e.table)
	return start
}

var errNotKnown = errors.New("not known to package wire")

// step writes one step. Consecutive elements of one set share a message.
func (e *encoder) step(s Step) error {
	if o, ok := s.Object.(*knftables.Element); ok && s.Verb != Flush {
		return e.element(s.Verb, o)
	}
	e.list.end(e)
	e.steps = append(e.steps, len(e.buffer))
	switch o := s.Object.(type) {
	case *knftables.Table:
		return e.tableStep(s.Verb, o)
	case *knftables.Chain:
		return e.chainStep(s.Verb, o)
	case *Rule:
		return e.ruleStep(s.Verb, o)
	case *knftables.Set:
		return e.setStep(s.Verb, o)
	case *knftables.Map:
		return e.mapStep(s.Verb, o)
	case *knftables.Counter:
		return e.counterStep(s.Verb, o)
	default:
		return errNotKnown
	}
}
