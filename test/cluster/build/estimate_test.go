package build

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// costsElsewhere are seconds that the parts took on machines that others used as well, in the order of parts: by them the
// estimate is tried with a pace that is not the one it was made from, and that changes.
var costsElsewhere = map[string]func(at int, seconds float64) float64{
	"as it was measured":              func(_ int, s float64) float64 { return s },
	"three times as slow":             func(_ int, s float64) float64 { return 3 * s },
	"four cores":                      func(_ int, s float64) float64 { return s / 2 },
	"others come and go, by a fourth": func(at int, s float64) float64 { return s * (1 + 0.25*math.Sin(float64(2*at))) },
}

// From a minute on, what is said to be left is right within a third, until it is nearly done.
func TestEstimateIsRightWithinAThird(t *testing.T) {
	for name, takes := range costsElsewhere {
		t.Run(name, func(t *testing.T) {
			var total float64
			for i, p := range parts {
				total += takes(i, p.cost.seconds)
			}
			e, elapsed, checked := estimateOf(parts, 2), 0.0, 0
			for i, p := range parts {
				e.begin(p.cost)
				before := elapsed
				for n := range p.cost.packages {
					e.compiled++
					elapsed = before + takes(i, p.cost.seconds)*float64(n+1)/float64(p.cost.packages)
					left := total - elapsed
					if elapsed < 60 || left < 30 {
						continue
					}
					checked++
					said := e.remaining(time.Duration(elapsed * float64(time.Second))).Seconds()
					if math.Abs(said-left) > left/3 {
						t.Fatalf("%s, package %d, after %.0fs: said %.0fs, and it is %.0fs", p.name, n+1, elapsed, said, left)
					}
				}
				e.end()
			}
			if checked < 1000 {
				t.Errorf("looked only %d times", checked)
			}
		})
	}
}

// A build that goes on where another one was stopped does not take what is done for its pace.
func TestEstimateLeavesOutWhatWasCompiledBefore(t *testing.T) {
	e := estimateOf(parts, 2)
	var left float64
	for i, p := range parts {
		if i > 1 {
			left += p.cost.seconds
			continue
		}
		e.begin(p.cost) // nothing of it is compiled
		e.end()
	}
	if said := e.remaining(3 * time.Second).Seconds(); math.Abs(said-left) > 1 {
		t.Errorf("said %.0fs, and it is %.0fs", said, left)
	}
}

func TestWords(t *testing.T) {
	for seconds, want := range map[int]string{5: "nearly done", 44: "about 40 seconds left", 100: "about 2 minutes left", 500: "about 8 minutes left"} {
		if got := words(time.Duration(seconds) * time.Second); got != want {
			t.Errorf("%ds: %q, want %q", seconds, got, want)
		}
	}
}

// What go prints beside the names of packages is kept for the error, however it is cut into pieces.
func TestPackagesAreCounted(t *testing.T) {
	const printed = "internal/goarch\ngolang.org/x/net/http2\n# example.com/broken\n./a.go:1:1: expected 'package'\ngopkg.in/inf.v0\nsomething unfinished"
	for size := 1; size < len(printed); size++ {
		count := 0
		out := &packages{compiled: func() { count++ }}
		for rest := printed; rest != ""; {
			piece := rest[:min(size, len(rest))]
			rest = rest[len(piece):]
			fmt.Fprint(out, piece)
		}
		if want := "# example.com/broken\n./a.go:1:1: expected 'package'\nsomething unfinished"; count != 3 || out.String() != want {
			t.Fatalf("in pieces of %d: %d packages, and %q", size, count, out)
		}
	}
}

// Whatever is built has a cost, or the estimate is about something else.
func TestPartsHaveACost(t *testing.T) {
	for _, p := range parts {
		if p.cost.seconds <= 0 || p.cost.packages <= 0 {
			t.Errorf("%s has none", p.name)
		}
		if strings.TrimSpace(p.pkg) == "" {
			t.Errorf("%s is nothing", p.name)
		}
	}
}

// go names what it compiles, and not what it has compiled before.
func TestGoTellsWhatItCompiles(t *testing.T) {
	dir := t.TempDir()
	for file, text := range map[string]string{
		"go.mod": "module example.com/told\n\ngo 1.26\n", "main.go": "package main\n\nimport _ \"example.com/told/part\"\n\nfunc main() {}\n",
		"part/part.go": "package part\n\nconst Of = \"" + dir + "\"\n", // not compiled by an earlier test
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(file)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, least := range []int{1, 0} {
		count := 0
		b := builder{compiled: func() { count++ }}
		if err := b.goBuild(t.Context(), dir, false, []string{"build", "-o", filepath.Join(dir, "program"), "."}); err != nil {
			t.Fatal(err)
		}
		if count < least || least == 0 && count > 0 {
			t.Errorf("%d packages, and not %d", count, least)
		}
	}
}
