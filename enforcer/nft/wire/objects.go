package wire

import (
	"errors"
	"reflect"
	"slices"

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

// only says whether an object has none but the expected fields.
func only[T any](got *T, expected T) error {
	if reflect.DeepEqual(*got, expected) {
		return nil
	}
	return errors.New("a field that is not known to package wire")
}

func (e *encoder) tableStep(verb Verb, o *knftables.Table) error {
	taken := slices.Equal(o.Flags, Take().Flags)
	if err := only(o, knftables.Table{Comment: o.Comment}); err != nil && !taken {
		return err
	}
	switch verb {
	case Add:
		start := e.about(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE)
		defer e.endMessage(start)
		if e.deleted || taken { // else it may be there, and cannot have an owner or lose one
			e.uint32(unix.NFTA_TABLE_FLAGS, e.flags)
		}
		return e.comment(tableUserData, o.Comment)
	case Delete:
		clear(e.sets)
		e.deleted = true
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
		base, ok := bases[e.family][hookOf(o)]
		if !ok {
			return errors.New("a base chain of a hook and a priority that are not known to package wire")
		}
		expected = knftables.Chain{
			Name: o.Name, Comment: o.Comment, Policy: o.Policy,
			Type: knftables.PtrTo(knftables.FilterType), Hook: o.Hook, Priority: o.Priority,
		}
		e.text(unix.NFTA_CHAIN_TYPE, "filter")
		e.uint32(unix.NFTA_CHAIN_POLICY, policyCode(o.Policy))
		hook := e.nest(unix.NFTA_CHAIN_HOOK)
		e.uint32(unix.NFTA_HOOK_HOOKNUM, base.hook)
		e.uint32(unix.NFTA_HOOK_PRIORITY, uint32(base.priority))
		e.end(hook)
	}
	if err := only(o, expected); err != nil {
		return err
	}
	return e.comment(chainUserData, o.Comment)
}

// hook is where a base chain is attached, as steps have it.
type hook struct {
	hook     knftables.BaseChainHook
	priority knftables.BaseChainPriority
}

func hookOf(o *knftables.Chain) hook {
	if o.Hook == nil || o.Priority == nil {
		return hook{}
	}
	return hook{*o.Hook, *o.Priority}
}

// bases are the numbers of the hooks and priorities that rulesets have: linux/netfilter_ipv4.h,
// linux/netfilter_bridge.h.
var bases = map[byte]map[hook]struct {
	hook     uint32
	priority int32
}{
	unix.NFPROTO_INET: {
		{knftables.PreroutingHook, knftables.RawPriority}: {unix.NF_INET_PRE_ROUTING, -300}, // NF_IP_PRI_RAW
		{knftables.ForwardHook, knftables.FilterPriority}: {unix.NF_INET_FORWARD, 0},        // NF_IP_PRI_FILTER
		{knftables.ForwardHook, knftables.ManglePriority}: {unix.NF_INET_FORWARD, -150},     // NF_IP_PRI_MANGLE
		{knftables.InputHook, knftables.FilterPriority}:   {unix.NF_INET_LOCAL_IN, 0},
	},
	unix.NFPROTO_BRIDGE: { // the first hooks have the same numbers as those of inet
		{knftables.PreroutingHook, knftables.FilterPriority}: {unix.NF_INET_PRE_ROUTING, -200}, // NF_BR_PRI_FILTER_BRIDGED
		{knftables.ForwardHook, knftables.FilterPriority}:    {unix.NF_INET_FORWARD, -200},
	},
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
