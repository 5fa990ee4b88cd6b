package main

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"
)

// drainFor is how long a manager that is asked to end goes on serving the webhook. Within three seconds
// the readiness probe fails (config/manager), unless the pod is deleted, which counts at once. Then every
// API server and kube-proxy must learn of it: milliseconds usually, seconds in a large cluster. A request
// that they still send in the meantime is answered.
const drainFor = 10 * time.Second

var errDraining = errors.New("the manager is about to end")

// drain is the time between being asked to end and ending.
type drain struct{ started atomic.Bool }

// after returns a context that ends for so long after another one did; begin is called in between.
func (d *drain) after(asked context.Context, wait time.Duration, begin func()) context.Context {
	ctx, end := context.WithCancel(context.WithoutCancel(asked))
	context.AfterFunc(asked, func() {
		d.started.Store(true)
		begin()
		time.AfterFunc(wait, end)
	})
	return ctx
}

// ready fails a readiness probe during the drain, and is otherwise what another check says.
func (d *drain) ready(check func(*http.Request) error) func(*http.Request) error {
	return func(request *http.Request) error {
		if d.started.Load() {
			return errDraining
		}
		return check(request)
	}
}
