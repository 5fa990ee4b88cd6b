package main

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// A manager that is asked to end is not ready any more, at once, and ends after the drain.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d drain
		asked, ask := context.WithCancel(t.Context())
		begun := 0
		ctx := d.after(asked, drainFor, func() { begun++ })
		ready := d.ready(func(*http.Request) error { return nil })
		expect := func(when string, wantReady error, wantBegun int, wantEnded error) {
			t.Helper()
			synctest.Wait()
			if err := ready(nil); !errors.Is(err, wantReady) || begun != wantBegun || !errors.Is(ctx.Err(), wantEnded) {
				t.Errorf("%s: readiness %v, begun %d times, context %v", when, err, begun, ctx.Err())
			}
		}
		<-time.After(time.Hour)
		expect("before it is asked", nil, 0, nil)
		ask()
		expect("when it is asked", errDraining, 1, nil)
		<-time.After(drainFor - time.Nanosecond)
		expect("during the drain", errDraining, 1, nil)
		<-time.After(time.Nanosecond)
		expect("after the drain", errDraining, 1, context.Canceled)
	})
}

// What the check says otherwise is what the probe says.
func TestNotReadyBeforeTheDrain(t *testing.T) {
	var d drain
	if err := d.ready(func(*http.Request) error { return errNotWarm })(nil); !errors.Is(err, errNotWarm) {
		t.Errorf("readiness is %v, want %v", err, errNotWarm)
	}
}
