package check

import "fmt"

// Work limits the work of judging one object. It counts steps, such as one comparison of what a rule allows with what an
// AppTier declares, so that the same object in the same world takes the same steps. Stop can end it earlier, for example
// after a timeout. It is not safe for concurrent use.
type Work struct {
	most, done int
	stop       func() error
	err        error
}

// NewWork returns a limit of so many steps, each of some 100 nanoseconds; 0 is no limit. It calls stop now and then, and
// ends the work with the error that stop returns; a nil stop never ends it.
func NewWork(most int, stop func() error) *Work { return &Work{most: most, stop: stop} }

// TooMuchWorkError says that an object was not judged, because it takes more steps than the limit.
type TooMuchWorkError struct{ Most int }

func (e *TooMuchWorkError) Error() string {
	return fmt.Sprintf("judging it takes more than %d steps", e.Most)
}

// Err is why the work ended before it was done: a *TooMuchWorkError, what stop returned, or nil.
func (w *Work) Err() error { return w.err }

// Done is how many steps were taken.
func (w *Work) Done() int { return w.done }

// askEvery is the number of steps between two calls of stop: about a millisecond.
const askEvery = 10_000

// Spend takes steps, and says whether the work may go on. If not, a caller may return any result, because nobody reads
// it.
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
