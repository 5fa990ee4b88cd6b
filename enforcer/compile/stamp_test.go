package compile

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWhichBitsMayHoldAStamp(t *testing.T) {
	for _, test := range []struct {
		text, wrong string
		last        uint16
	}{
		{"0xffff0000", "", 0xffff},
		{"0x0ff00000", "", 0xff},
		{"4095", "", 0xfff},
		{"0xff", "", 0xff},
		{"0xfffff000", "20 bits", 0},
		{"0x7f", "7 bits", 0},
		{"0", "0 bits", 0},
		{"0xff0ff000", "adjacent", 0},
		{"0x1ffff0000", "no number of 32 bits", 0},
		{"ffff0000", "no number", 0},
	} {
		m, err := ParseMark(test.text)
		switch {
		case test.wrong == "" && (err != nil || m.Last() != test.last):
			t.Errorf("%s: %v, %d", test.text, err, m.Last())
		case test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)):
			t.Errorf("%s: got %v, want an error with %q", test.text, err, test.wrong)
		}
	}
}

// Generations follow one another through both halves, and each is read back from a mark, whatever else is in
// it, and from the comment of its rules, and not from one that is about other bits.
func TestGenerations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(leastMarkBits, mostMarkBits).Draw(t, "bits")
		m := Mark((1<<width - 1) << rapid.IntRange(0, 32-width).Draw(t, "shift"))
		if again, err := ParseMark(m.String()); err != nil || again != m {
			t.Fatalf("%s became %s, %v", m, again, err)
		}
		g := uint16(rapid.IntRange(1, int(m.Last())).Draw(t, "generation"))
		others := rapid.Uint32().Draw(t, "others") &^ uint32(m)
		if got := m.Generation(m.of(g) | others); got != g {
			t.Fatalf("generation %d became %d", g, got)
		}
		if got, ok := m.ParseGeneration(m.comment(g)); !ok || got != g {
			t.Fatalf("%q is %d, %v", m.comment(g), got, ok)
		}
		if _, ok := m.ParseGeneration((m ^ 1<<31 ^ 1).comment(g)); ok {
			t.Fatal("other bits are taken for these")
		}
		next := m.Next(g)
		if g == m.Last() && (next != 1 || m.Upper(next) || !m.Upper(g)) || g < m.Last() && next != g+1 {
			t.Fatalf("%d follows %d", next, g)
		}
	})
}

func TestWhatNamesNoGeneration(t *testing.T) {
	for _, marker := range []string{"", "generation 1", "generation 0 in 0xffff0000", "generation 65536 in 0xffff0000", "generation x in 0xffff0000",
		"without a stamp: connections may bear old ones"} {
		if g, ok := DefaultMark.ParseGeneration(marker); ok {
			t.Errorf("%q is %d", marker, g)
		}
	}
}
