package main

import (
	"strings"
	"testing"
	"time"
)

// flowOf is a flow of packets, one a millisecond until now, that arrived at once (x) or did not (.).
func flowOf(pattern string) (*flow, time.Time) {
	f := &flow{prober: &prober{}, patience: blockedAfter * pace}
	f.forget()
	began := time.Now().Add(-time.Duration(len(pattern)) * pace)
	for i, what := range pattern {
		p := packet{sent: began.Add(time.Duration(i) * pace)}
		if what == 'x' {
			p.arrived = p.sent
		}
		f.packets = append(f.packets, p)
		if what == 'x' {
			f.note(i)
		}
	}
	return f, began
}

func TestWhenAFlowPasses(t *testing.T) {
	few, enough := strings.Repeat("x", passesAfter), strings.Repeat("x", 2*passesAfter)
	for _, test := range []struct {
		name, pattern string
		done          bool
		judged        int // the packet
		after         tally
	}{
		{"nothing was sent", "", false, 0, tally{}},
		{"nothing arrives", strings.Repeat(".", 200), false, 0, tally{}},
		{"it has only begun", "..." + few, false, 0, tally{}},
		{"from the third on", ".." + enough, true, 2, tally{Sent: passesAfter}},
		{"with a loss", "..xxx.xx" + enough, true, 2, tally{Sent: passesAfter, Lost: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, began := flowOf(test.pattern)
			judged, after, done := f.passing()
			if done != test.done || after != test.after {
				t.Fatalf("got %v, %+v, want %v, %+v", done, after, test.done, test.after)
			}
			if want := began.Add(time.Duration(test.judged) * pace); done && !judged.Equal(want) {
				t.Errorf("got %s after the beginning, want %s", judged.Sub(began), want.Sub(began))
			}
		})
	}
}

func TestWhenAFlowIsBlocked(t *testing.T) {
	silence := strings.Repeat(".", blockedAfter)
	for _, test := range []struct {
		name, pattern string
		done          bool
		judged        int // the packet
		before        tally
	}{
		{"nothing was sent", "", false, 0, tally{}},
		{"everything arrives", strings.Repeat("x", 200), false, 0, tally{}},
		{"it has only begun", "xxx.....", false, 0, tally{}},
		{"from the fourth on", "xxx" + silence, true, 3, tally{Sent: 3}},
		{"from the start", silence, true, 0, tally{}},
		{"one comes late", "xxx" + silence + "x", false, 0, tally{}},
		{"with a loss before", "xx.x" + silence, true, 4, tally{Sent: 4, Lost: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, began := flowOf(test.pattern)
			judged, before, done := f.blocked()
			if done != test.done || before != test.before {
				t.Fatalf("got %v, %+v, want %v, %+v", done, before, test.done, test.before)
			}
			if want := began.Add(time.Duration(test.judged) * pace); done && !judged.Equal(want) {
				t.Errorf("got %s after the beginning, want %s", judged.Sub(began), want.Sub(began))
			}
		})
	}
}

// Packets from before a change tell nothing about it, even if they are late.
func TestSettledFlowsForget(t *testing.T) {
	f, _ := flowOf(strings.Repeat("x", 100))
	f.forget()
	f.note(99)
	if _, _, done := f.passing(); done {
		t.Error("a packet that was sent before counts")
	}
	if f.all() != (tally{}) {
		t.Errorf("got %+v, want nothing", f.all())
	}
}
