// Tour records what the first page of the documentation shows, as a file that asciinema and its players play:
//
//	go -C test run ./tour ../bin/tour.cast
//
// The commands are run; how long somebody types and reads is made up, so that the same program gives the same record.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/apptier/apptier/test/reader"
)

const (
	root = ".."
	page = "docs/start/plugin.md"

	width, height = 168, 44
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: tour FILE")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "tour:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, file string) (err error) {
	source, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		return err
	}
	temporary, err := os.MkdirTemp("", "tour-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	r := reader.Reader{Folder: filepath.Join(temporary, "shop"), Programs: filepath.Join(temporary, "bin")}
	for _, folder := range []string{r.Folder, r.Programs} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			return err
		}
	}
	if err := errors.Join(reader.Install(ctx, root, r.Programs), reader.WithoutCluster(r.Programs)); err != nil {
		return err
	}
	cast, err := record(ctx, r, reader.Blocks(source))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		return err
	}
	return os.WriteFile(file, cast, 0o600)
}

// record does what blocks say, and returns it as version 2 of asciinema's format
// (https://docs.asciinema.org/manual/asciicast/v2/): a line of what it is, and a line for each piece of output, with its time.
func record(ctx context.Context, r reader.Reader, blocks []reader.Block) ([]byte, error) {
	var s screen
	s.line(map[string]any{"version": 2, "width": width, "height": height, "title": "apptier in five minutes, without root"})
	heading := ""
	for _, b := range blocks {
		commands := b.Commands()
		if b.File() == "" && len(commands) == 0 {
			continue
		}
		if b.Heading != heading {
			heading = b.Heading
			s.show("\x1b[H\x1b[2J\x1b[1;36m# "+heading+"\x1b[0m\n\n", 1.2)
		}
		if b.File() != "" {
			if err := r.Save(b); err != nil {
				return nil, err
			}
			commands = []reader.Command{{Line: "cat " + b.File()}}
		}
		for _, c := range commands {
			s.enter(c.Line)
			out, err := r.Run(ctx, c.Line)
			if err != nil {
				return nil, err
			}
			s.show(out, 1.5+min(6, 0.25*float64(strings.Count(out, "\n"))))
			s.show("\n", 0.2)
		}
	}
	return s.out.Bytes(), s.err
}

// screen is a record that is being made.
type screen struct {
	out bytes.Buffer
	at  float64
	err error
}

func (s *screen) line(what any) {
	text, err := json.Marshal(what)
	s.err = errors.Join(s.err, err)
	s.out.Write(append(text, '\n'))
}

// show shows text, and waits.
func (s *screen) show(text string, seconds float64) {
	s.line([]any{json.Number(fmt.Sprintf("%.3f", s.at)), "o", strings.ReplaceAll(text, "\n", "\r\n")})
	s.at += seconds
}

// enter types a command.
func (s *screen) enter(line string) {
	s.show("\x1b[32m$\x1b[0m ", 0.6)
	for _, letter := range line {
		s.show(string(letter), 0.035)
	}
	s.show("\n", 0.4)
}
