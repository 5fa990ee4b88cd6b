package report

import (
	"bytes"
	"testing"
)

// The line grows, is never set back by whoever comes late, and is gone at the end. Where no terminal is, there is none.
func TestProgress(t *testing.T) {
	var terminal, file bytes.Buffer
	tell := progressOn(&terminal, "pods")
	for _, done := range []int{0, 2, 1, 3} {
		tell(done, 3)
	}
	if want := "\r\x1b[Kpods: 0 of 3\r\x1b[Kpods: 2 of 3\r\x1b[K"; terminal.String() != want {
		t.Errorf("%q, want %q", &terminal, want)
	}
	Progress(&file, "pods")(1, 3)
	if file.Len() > 0 {
		t.Errorf("a file has %q", &file)
	}
}
