package host

import (
	"os"
	"testing"
)

func TestStartTime(t *testing.T) {
	const rest = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21"
	for stat, want := range map[string]uint64{
		"7 (init) S" + rest:       4242,
		"7 (a (b) c) S" + rest:    4242, // names may hold anything
		"7 (init) Z" + rest:       0,    // dead, if not buried
		"7 (init) S 1 2 3":        0,
		"no process ever said it": 0,
	} {
		got, err := startTime(stat)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v; want %d", stat, got, err, want)
		}
	}
	self, err := Identify(os.Getpid())
	if err != nil || !self.Alive() {
		t.Errorf("this process is not alive: %+v, %v", self, err)
	}
	self.Started++
	if self.Alive() {
		t.Error("a process with another start time is taken for the same")
	}
}
