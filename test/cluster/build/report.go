package build

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// report tells how a build is going: on a terminal one line that is always up to date, elsewhere a line
// for each part that is done.
type report struct {
	out      io.Writer
	terminal bool
	began    time.Time
	total    int
	done     int

	mu      sync.Mutex // guards the fields below and writing
	current string
	since   time.Time
	quit    chan struct{}
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

func (r *report) start(what string, total int) {
	r.total, r.began, r.quit = total, time.Now(), make(chan struct{})
	fmt.Fprintf(r.out, "Building %s\n", what)
	if r.terminal {
		go r.refresh()
	}
}

func (r *report) stop() { close(r.quit) }

func (r *report) refresh() {
	ticker := time.NewTicker(time.Second)
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
	if r.current == "" || !r.terminal {
		return
	}
	fmt.Fprintf(r.out, "\r\033[K[%2d/%d] %s, %s (%s in all)", r.done+1, r.total, r.current, seconds(r.since), seconds(r.began))
}

// step runs the building of one part.
func (r *report) step(name string, run func() error) error {
	r.mu.Lock()
	r.current, r.since = name, time.Now()
	r.mu.Unlock()
	r.draw()
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
	fmt.Fprintf(r.out, "[%2d/%d] %s %s (%s in all)\n", r.done, r.total, name, seconds(r.since), seconds(r.began))
	return nil
}

func seconds(since time.Time) string {
	d := time.Since(since)
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
