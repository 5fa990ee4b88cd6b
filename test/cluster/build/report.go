package build

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// elsewhereEvery is how often a build tells where it is when nobody can be shown one line that changes.
const elsewhereEvery = 30 * time.Second

// report tells how a build is going, and how long it still takes: on a terminal one line that is always up to date,
// elsewhere a line for each part that is done, and for each half minute.
type report struct {
	out      io.Writer
	terminal bool
	began    time.Time
	total    int
	done     int

	mu       sync.Mutex // guards the fields below and writing
	current  string
	since    time.Time
	estimate estimate
	quit     chan struct{}
}

func newReport(out io.Writer) *report {
	if out == nil {
		out = io.Discard
	}
	return &report{out: out, terminal: isTerminal(out)}
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

func (r *report) start(what string, parts []part) {
	r.total, r.began, r.quit = len(parts), time.Now(), make(chan struct{})
	r.estimate = estimateOf(parts, runtime.NumCPU())
	fmt.Fprintf(r.out, "Building %s\n", what)
	go r.refresh()
}

func (r *report) stop() { close(r.quit) }

// compiled counts a package of the part that is being built.
func (r *report) compiled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.estimate.compiled++
}

func (r *report) refresh() {
	every := elsewhereEvery
	if r.terminal {
		every = time.Second
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-r.quit:
			return
		case <-ticker.C:
			r.draw()
		}
	}
}

func (r *report) draw() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == "" {
		return
	}
	begin, end := "", "\n"
	if r.terminal {
		begin, end = "\r\033[K", ""
	}
	fmt.Fprintf(r.out, "%s[%2d/%d] %s, %s: %d packages (%s in all, %s)%s",
		begin, r.done+1, r.total, r.current, seconds(r.since), r.estimate.compiled, seconds(r.began), r.left(), end)
}

// left says how long the build still takes.
func (r *report) left() string { return words(r.estimate.remaining(time.Since(r.began))) }

// step runs the building of one part.
func (r *report) step(p part, run func() error) error {
	r.mu.Lock()
	r.current, r.since = p.name, time.Now()
	r.estimate.begin(p.cost)
	r.mu.Unlock()
	if r.terminal {
		r.draw()
	}
	err := run()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = ""
	if r.terminal {
		fmt.Fprint(r.out, "\r\033[K")
	}
	if err != nil {
		return err
	}
	r.done++
	r.estimate.end()
	fmt.Fprintf(r.out, "[%2d/%d] %s %s (%s in all, %s)\n", r.done, r.total, p.name, seconds(r.since), seconds(r.began), r.left())
	return nil
}

func seconds(since time.Time) string {
	d := time.Since(since)
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
