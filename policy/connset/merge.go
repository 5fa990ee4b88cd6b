package connset

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// Merged returns fewer boxes with the same connections: those that differ in their addresses alone are
// one, at the place of the first.
func Merged(boxes []Box) []Box {
	var out []Box
	var addresses [][]span[netip.Addr]
	known := map[string]int{}
	for _, box := range boxes {
		if box.IsEmpty() {
			continue
		}
		key := string(box.appendPorts(box.appendLabels([]byte{byte(box.Kinds)}, Subject, Peer, Namespace)))
		i, found := known[key]
		if !found {
			i = len(out)
			known[key] = i
			out, addresses = append(out, box), append(addresses, nil)
		}
		addresses[i] = append(addresses[i], box.Addresses.of...)
	}
	for i := range out {
		out[i].Addresses = Addresses{union(addresses[i]...)}
	}
	return out
}

// Unlike returns the first of the boxes of each set of conditions on the labels of a scope.
func Unlike(boxes []Box, scope Scope) []Box {
	var out []Box
	known := map[string]bool{}
	for _, box := range boxes {
		if key := string(box.appendLabels(nil, scope)); !known[key] {
			known[key] = true
			out = append(out, box)
		}
	}
	return out
}

// Key is the same for boxes that are the same.
func (b Box) Key() string {
	key := b.appendPorts(b.appendLabels([]byte{byte(b.Kinds)}, Subject, Peer, Namespace))
	for _, s := range b.Addresses.of {
		first, last := s.first.As16(), s.last.As16()
		key = append(append(append(key, byte(s.first.BitLen())), first[:]...), last[:]...)
	}
	return string(key)
}

// appendLabels writes the conditions on the labels of some scopes, so that different ones never look alike.
func (b Box) appendLabels(key []byte, scopes ...Scope) []byte {
	text := func(s string) { key = append(binary.AppendUvarint(key, uint64(len(s))), s...) }
	for _, c := range b.labels {
		if !slices.Contains(scopes, c.label.Scope) {
			continue
		}
		key = append(key, byte(c.label.Scope)+1, flag(c.values.open)|flag(c.values.absent)<<1)
		text(c.label.Key)
		key = binary.AppendUvarint(key, uint64(len(c.values.names)))
		for _, name := range c.values.names {
			text(name)
		}
	}
	return append(key, 0)
}

func (b Box) appendPorts(key []byte) []byte {
	key = binary.AppendUvarint(key, uint64(len(b.Ports.of)))
	for _, s := range b.Ports.of {
		key = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(key, s.first.position), s.last.position)
	}
	return key
}

func flag(is bool) byte {
	if is {
		return 1
	}
	return 0
}
