package main

import (
	"runtime/debug"
	"testing"
)

// What is right for the lists is not for the rest of the enforcer's life.
func TestGarbageIsCollectedAsUsualOnceEverythingIsListed(t *testing.T) {
	percent := func() int {
		now := debug.SetGCPercent(100)
		debug.SetGCPercent(now)
		return now
	}
	t.Setenv("GOGC", "")
	usual := percent()
	asUsual := collectRarely()
	if got := percent(); got <= usual {
		t.Errorf("while listing: at %d %%, not above %d %%", got, usual)
	}
	asUsual()
	if got := percent(); got != usual {
		t.Errorf("afterwards: at %d %%, want %d %%", got, usual)
	}

	t.Setenv("GOGC", "50")
	if collectRarely() != nil || percent() != usual {
		t.Error("GOGC does not count")
	}
}
