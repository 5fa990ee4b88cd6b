package report

import (
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// Progress tells on a terminal how far something is, in one line, which is gone at the end. Elsewhere it tells nothing.
func Progress(out io.Writer, what string) func(done, of int) {
	file, isFile := out.(*os.File)
	if !isFile || !term.IsTerminal(int(file.Fd())) {
		return func(int, int) {}
	}
	return progressOn(out, what)
}

// progressOn is called by several at once, and not always in their order.
func progressOn(out io.Writer, what string) func(done, of int) {
	var lock sync.Mutex
	most := 0
	return func(done, of int) {
		lock.Lock()
		defer lock.Unlock()
		const start = "\r\x1b[K" // to the start of the line, and erase it (ECMA-48)
		switch {
		case done < most:
		case done >= of:
			fmt.Fprint(out, start)
		default:
			fmt.Fprintf(out, "%s%s: %d of %d", start, what, done, of)
		}
		most = max(most, done)
	}
}
