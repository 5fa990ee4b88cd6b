package wire

import (
	"errors"
	"reflect"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/knftables"
)

// What golang.org/x/sys/unix lacks of linux/netfilter/nf_tables.h and netfilter.h.
const (
	tableUserData   = 6  // NFTA_TABLE_USERDATA
	counterUserData = 8  // NFTA_OBJ_USERDATA
	chainUserData   = 12 // NFTA_CHAIN_USERDATA

	dropCode   = 0 // NF_DROP
	acceptCode = 1 // NF_ACCEPT
)

// commentData is the kind of the user data of a table, a chain, a rule, a counter or an element that
// is its comment: NFTNL_UDATA_TABLE_COMMENT and so on, in libnftnl's udata.h.
const commentData = 0

var errLongComment = errors.New("a comment that is too long")

// comment writes user data that is nothing but a comment.
func (e *encoder) comment(attribute uint16, text *string) error {
	if text == nil {
		return nil
	}
	if len(*text) >= knftables.CommentLengthMax {
		return errLongComment
	}
	e.scratch = comment(e.scratch[:0], commentData, *text)
	e.bytes(attribute, e.scratch)
	return nil
}

// only tells whether an object has none but the expected fields.
func only[T any](got *T, expected T) error {
	if reflect.DeepEqual(*got, expected) {
		return nil
	}
	return errors.New("a field that is not known to package wire")
}

func (e *encoder) tableStep(verb Verb, o *knftables.Table) error {
	if err := only(o, knftables.Table{Comment: o.Comment}); err != nil {
		return err
	}
	switch verb {
	case Add:
		start := e.about(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE)
		defer e.endMessage(start)
		e.uint32(unix.NFTA_TABLE_FLAGS, 0)
		return e.comment(tableUserData, o.Comment)
	case Delete:
		clear(e.sets)
		e.endMessage(e.about(unix.NFT_MSG_DELTABLE, 0))
		return nil
	default:
		return errNotKnown
	}
}

func (e *encoder) chainStep(verb Verb, o *knftables.Chain) error {
	switch verb {
	case Add:
		return e.addChain(o)
	case Delete:
		start := e.about(unix.NFT_MSG_DELCHAIN, 0)
		defer e.endMessage(start)
		e.text(unix.NFTA_CHAIN_NAME, o.Name)
	case Flush:
		start := e.about(unix.NFT_MSG_DELRULE, 0)
		defer e.endMessage(start)
		e.text(unix.NFTA_RULE_CHAIN, o.Name)
	default:
		return errNotKnown
	}
	return only(o, knftables.Chain{Name: o.Name})
}

func (e *encoder) addChain(o *knftables.Chain) error {
	start := e.about(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE)
	defer e.endMessage(start)
	e.text(unix.NFTA_CHAIN_NAME, o.Name)
	expected := knftables.Chain{Name: o.Name, Comment: o.Comment}
	if o.Hook != nil {
		expected = forward(o.Name, o.Comment, o.Policy)
		e.text(unix.NFTA_CHAIN_TYPE, "filter")
		e.uint32(unix.NFTA_CHAIN_POLICY, policyCode(o.Policy))
		hook := e.nest(unix.NFTA_CHAIN_HOOK)
		e.uint32(unix.NFTA_HOOK_HOOKNUM, unix.NF_INET_FORWARD)
		e.uint32(unix.NFTA_HOOK_PRIORITY, 0) // NF_IP_PRI_FILTER
		e.end(hook)
	}
	if err := only(o, expected); err != nil {
		return err
	}
	return e.comment(chainUserData, o.Comment)
}

// forward is the only kind of base chain that rulesets have.
func forward(name string, comment *string, policy *knftables.BaseChainPolicy) knftables.Chain {
	return knftables.Chain{
		Name: name, Comment: comment, Policy: policy,
		Type:     knftables.PtrTo(knftables.FilterType),
		Hook:     knftables.PtrTo(knftables.ForwardHook),
		Priority: knftables.PtrTo(knftables.FilterPriority),
	}
}

func policyCode(policy *knftables.BaseChainPolicy) uint32 {
	if policy != nil && *policy == knftables.DropPolicy {
		return dropCode
	}
	return acceptCode // nft's default, too
}

func (e *encoder) counterStep(verb Verb, o *knftables.Counter) error {
	if err := only(o, knftables.Counter{Name: o.Name, Comment: o.Comment}); err != nil {
		return err
	}
	kind, flags := uint16(unix.NFT_MSG_NEWOBJ), uint16(unix.NLM_F_CREATE)
	switch verb {
	case Add:
	case Delete:
		kind, flags = unix.NFT_MSG_DELOBJ, 0
	default:
		return errNotKnown
	}
	start := e.about(kind, flags)
	defer e.endMessage(start)
	e.text(unix.NFTA_OBJ_NAME, o.Name)
	e.uint32(unix.NFTA_OBJ_TYPE, unix.NFT_OBJECT_COUNTER)
	if verb == Delete {
		return nil
	}
	if err := e.comment(counterUserData, o.Comment); err != nil {
		return err
	}
	data := e.nest(unix.NFTA_OBJ_DATA)
	e.uint64(unix.NFTA_COUNTER_BYTES, 0)
	e.uint64(unix.NFTA_COUNTER_PACKETS, 0)
	e.end(data)
	return nil
}
