package wire

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// xtables has three forms of CONNMARK; programs of today write the last one alone.
func TestMarksOfXtables(t *testing.T) {
	words := func(values ...uint32) (b []byte) {
		for _, v := range values {
			b = binary.NativeEndian.AppendUint32(b, v)
		}
		return b
	}
	const left, right = 0, 1
	for _, test := range []struct {
		name           string
		kind, extends  string
		revision, want uint32
		info           []byte
	}{
		{"set", "target", "CONNMARK", 1, 0x0f, append(words(0x08, 0x07, 0), connmarkSet)},
		{"save", "target", "CONNMARK", 1, 0xff, append(words(0, 0x0f, 0xf0), connmarkSave)},
		{"restore", "target", "CONNMARK", 1, 0x0f, append(words(0, 0x0f, 0xf0), connmarkRestore)},
		{"set, of revision 2", "target", "CONNMARK", 2, 0x0f, append(words(0x08, 0x07, 0), left, 0, connmarkSet)},
		{"set and shifted", "target", "CONNMARK", 2, allBits, append(words(0x08, 0x07, 0), left, 4, connmarkSet)},
		{"save to the left", "target", "CONNMARK", 2, 0x1f0000, append(words(0, 0x0f0000, 0x0f), left, 17, connmarkSave)},
		{"save to the right", "target", "CONNMARK", 2, 0x1f, append(words(0, 0x0f, 0x1c0), right, 4, connmarkSave)},
		{"restore to the left", "target", "CONNMARK", 2, 0x0f, append(words(0, 0x0f, 0xf0), left, 16, connmarkRestore)},
		{"another mode", "target", "CONNMARK", 1, allBits, append(words(0, 0, 0), 9)},
		{"cut off", "target", "CONNMARK", 1, allBits, words(0, 0, 0)},
		{"cut off, of revision 2", "target", "CONNMARK", 2, allBits, append(words(0, 0, 0), left)},
		{"a match", "match", "connmark", 1, 0xf0, append(words(0x10, 0xf0), 0)},
		{"a match cut off", "match", "connmark", 1, allBits, words(0x10)},
		{"another target", "target", "MARK", 2, 0, words(0x10, 0xf0)},
		{"another match", "match", "mark", 1, 0, append(words(0x10, 0xf0), 0)},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b buffer
			element := b.nest(unix.NFTA_LIST_ELEM)
			b.text(unix.NFTA_EXPR_NAME, test.kind)
			data := b.nest(unix.NFTA_EXPR_DATA)
			b.text(unix.NFTA_TARGET_NAME, test.extends)
			b.uint32(unix.NFTA_TARGET_REV, test.revision)
			b.bytes(unix.NFTA_TARGET_INFO, test.info)
			b.end(data)
			b.end(element)
			if got := markBits(b); got != test.want {
				t.Errorf("got 0x%x, want 0x%x", got, test.want)
			}
		})
	}
}

// Whatever the bytes are, they are read to their end or to what is not well formed.
func FuzzMarkBits(f *testing.F) {
	var b buffer
	r := rule{encoder: &encoder{}}
	r.connection(unix.NFT_CT_MARK, noDirection, 0)
	r.bitwise(0xf, 0)
	r.setConnectionMark()
	b = r.buffer
	if got := markBits(b); got != ^uint32(0xf) {
		f.Fatalf("0x%x", got)
	}
	f.Add([]byte(b))
	f.Fuzz(func(_ *testing.T, b []byte) { _ = markBits(b) })
}

// A flow table takes connections when rules name it: what the kernel says of one, as nf_tables_fill_flowtable_info
// writes it.
func TestFlowTablesInUse(t *testing.T) {
	encoded := func(use uint32) []byte {
		var b buffer
		b.text(1, "fw")   // NFTA_FLOWTABLE_TABLE
		b.text(2, "fast") // NFTA_FLOWTABLE_NAME
		b.uint64(5, 7)    // NFTA_FLOWTABLE_HANDLE
		b.uint32(4, use)  // NFTA_FLOWTABLE_USE
		b.uint32(7, 0)    // NFTA_FLOWTABLE_FLAGS
		hook := b.nest(3) // NFTA_FLOWTABLE_HOOK
		b.uint32(1, 0)    // NFTA_FLOWTABLE_HOOK_NUM
		b.uint32(2, 0)    // NFTA_FLOWTABLE_HOOK_PRIORITY
		b.end(hook)
		return slices.Clip(b)
	}
	f, used := flowTableOf(unix.NFPROTO_INET, encoded(1))
	if f != (FlowTable{"inet", "fw", "fast"}) || f.String() != "inet fw fast" || !used {
		t.Errorf("got %v, used: %t", f, used)
	}
	if _, used := flowTableOf(unix.NFPROTO_INET, encoded(0)); used {
		t.Error("no rule names it, and yet it is used")
	}
}
