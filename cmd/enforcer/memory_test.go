package main

import (
	"runtime/debug"
	"testing"

	"github.com/go-logr/logr"
)

func TestGarbageIsCollectedInTimeForTheContainersLimit(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	for _, c := range []struct {
		limit, goLimit string
		want           int64
	}{
		{"536870912", "", 384 << 20},
		{"", "", before},
		{"512Mi", "", before}, // not bytes
		{"-1", "", before},
		{"536870912", "100MiB", before}, // the runtime has read it
	} {
		debug.SetMemoryLimit(before)
		t.Setenv(memoryVariable, c.limit)
		t.Setenv("GOMEMLIMIT", c.goLimit)
		limitMemory(logr.Discard())
		if got := debug.SetMemoryLimit(-1); got != c.want {
			t.Errorf("limit %q, GOMEMLIMIT %q: got %d, want %d", c.limit, c.goLimit, got, c.want)
		}
	}
}
