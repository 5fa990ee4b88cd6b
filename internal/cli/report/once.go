package report

import (
	"io"
)

// OnlyOnce leaves out lines that were written before.
func OnlyOnce(out io.Writer) io.Writer { return &onceWriter{out, map[string]bool{}} }

type onceWriter struct {
	out  io.Writer
	seen map[string]bool
}

func (w *onceWriter) Write(text []byte) (int, error) {
	if w.seen[string(text)] {
		return len(text), nil
	}
	w.seen[string(text)] = true
	return w.out.Write(text)
}
