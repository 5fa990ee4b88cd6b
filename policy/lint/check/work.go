package check

import "fmt"

// Work bounds what is done to judge one object. It is counted in steps, such as one comparison of what a
// rule allows with what an AppTier declares, so that the same object beside the same others takes the same.
// Those who wait for an answer say besides when they stop waiting. It is not for use at the same time.
type Work struct {
	most, done int
	stop       func() error
	err        error
}

// NewWork returns a bound of so many steps, one of which takes some 100 nanoseconds; 0 is no bound. Stop is
// asked now and then, and ends the work with the error that it returns; nil never does.
func NewWork(most int, stop func() error) *Work { return &Work{most: most, stop: stop} }

// TooMuchWorkError says that an object was not judged, because that would take more steps than it may.
type TooMuchWorkError struct{ Most int }

func (e *TooMuchWorkError) Error() string {
	return fmt.Sprintf("judging it takes more than %d steps", e.Most)
}

// Err is why the work ended before it was done: a *TooMuchWorkError, what stop returned, or nil.
func (w *Work) Err() error { return w.err }

// Done is how many steps were taken.
func (w *Work) Done() int { return w.done }

// askEvery is how many steps are taken between two questions whether to stop: about a millisecond's.
const askEvery = 10_000

// Spend takes steps, and says whether there is anything left. Whoever hears that there is not may return
// whatever is at hand: nobody reads it.
func (w *Work) Spend(steps int) bool {
	before := w.done
	w.done += steps
	switch {
	case w.err != nil:
	case w.most > 0 && w.done > w.most:
		w.err = &TooMuchWorkError{w.most}
	case w.stop != nil && before/askEvery != w.done/askEvery:
		w.err = w.stop()
	}
	return w.err == nil
}
