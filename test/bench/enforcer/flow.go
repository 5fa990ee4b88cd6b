package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"
)

const (
	payloadLength = 8
	// A flow is blocked when none of this many packets has arrived, for as long as its patience.
	blockedAfter = 50
	settledAfter = 75 * time.Millisecond
	// passesAfter is how many packets are looked at once a flow passes.
	passesAfter = 10
	// never is when to give up: a packet that is still judged wrongly then makes the bench fail.
	never = 30 * time.Second
)

// flow is a sequence of numbered packets, one each millisecond.
type flow struct {
	prober   *prober
	id       uint32
	patience time.Duration
	answers  bool // the receiver answers
	write    func(payload []byte) error
	close    func()

	// For the holder of the prober's lock.
	packets []packet
	from    int // the first packet that matters, see settle
	first   int // of these that arrived, or -1
	latest  int // of these that arrived, or from-1
	failed  error
}

type packet struct{ sent, arrived time.Time }

// forget looks at the packets to come alone. It is for the holder of the lock.
func (f *flow) forget() { f.from, f.first, f.latest = len(f.packets), -1, len(f.packets)-1 }

// note is for the holder of the lock.
func (f *flow) note(arrived int) {
	if arrived < f.from {
		return
	}
	f.latest = max(f.latest, arrived)
	if f.first < 0 {
		f.first = arrived
	}
}

// sendNext is for the holder of the lock.
func (f *flow) sendNext() {
	payload := make([]byte, payloadLength)
	binary.BigEndian.PutUint32(payload, f.id)
	binary.BigEndian.PutUint32(payload[4:], uint32(len(f.packets)))
	f.packets = append(f.packets, packet{sent: time.Now()})
	if err := f.write(payload); err != nil && f.failed == nil {
		f.failed = fmt.Errorf("sending a packet: %w", err)
	}
}

// end stops the flow.
func (f *flow) end() {
	f.prober.remove(f)
	if f.close != nil {
		f.close()
	}
}

// pause stops sending until resume.
func (f *flow) pause() {
	f.prober.mu.Lock()
	defer f.prober.mu.Unlock()
	f.prober.pause(f)
}

// resume sends again.
func (f *flow) resume() {
	f.prober.mu.Lock()
	defer f.prober.mu.Unlock()
	f.prober.resume(f)
}

// tally is what became of the packets of a flow that had to pass.
type tally struct{ Sent, Lost int }

func (t *tally) add(other tally) {
	t.Sent += other.Sent
	t.Lost += other.Lost
}

// passing returns when the first packet was sent that arrived, once some of those after it have had their chance,
// and how many of these were lost.
func (f *flow) passing() (judged time.Time, after tally, done bool) {
	f.prober.mu.Lock()
	defer f.prober.mu.Unlock()
	if f.first < 0 || len(f.packets) < f.first+2*passesAfter {
		return time.Time{}, tally{}, false
	}
	return f.packets[f.first].sent, f.count(f.first, f.first+passesAfter), true
}

// blocked returns when the first of the packets was sent that do not arrive any more, once that is
// certain, and how many were lost before it.
func (f *flow) blocked() (judged time.Time, before tally, done bool) {
	f.prober.mu.Lock()
	defer f.prober.mu.Unlock()
	next := f.latest + 1
	if len(f.packets) < next+blockedAfter || time.Since(f.packets[next].sent) < f.patience {
		return time.Time{}, tally{}, false
	}
	return f.packets[next].sent, f.count(f.from, next), true
}

// all counts every packet since the last settle, so it is for a flow that was paused some time ago.
func (f *flow) all() tally {
	f.prober.mu.Lock()
	defer f.prober.mu.Unlock()
	return f.count(f.from, len(f.packets))
}

func (f *flow) count(from, to int) (t tally) {
	for _, p := range f.packets[from:to] {
		t.Sent++
		if p.arrived.IsZero() {
			t.Lost++
		}
	}
	return t
}

// settle waits until the flow passes or is blocked, as it should by now, and then forgets what was.
func (f *flow) settle(ctx context.Context, passes bool) error {
	if _, _, err := f.await(ctx, passes); err != nil {
		return err
	}
	f.prober.mu.Lock()
	defer f.prober.mu.Unlock()
	f.forget()
	return nil
}

// await returns when the first packet was judged in a way, from those sent since the last settle.
func (f *flow) await(ctx context.Context, passes bool) (judged time.Time, t tally, err error) {
	ctx, cancel := context.WithTimeout(ctx, never)
	defer cancel()
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	look := f.blocked
	if passes {
		look = f.passing
	}
	for {
		if judged, t, done := look(); done {
			return judged, t, f.failed
		}
		select {
		case <-ctx.Done():
			return time.Time{}, tally{}, fmt.Errorf("packets still arrive (or not) after %s, and should pass: %v: %w", never, passes, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
