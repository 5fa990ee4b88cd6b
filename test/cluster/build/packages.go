package build

import (
	"bytes"
	"regexp"
)

// packages keeps what go prints, but for the packages that it names as it compiles them (go build -v), of which it tells.
type packages struct {
	compiled func()
	kept     bytes.Buffer // not embedded: its ReadFrom would pass Write by
	line     []byte
}

var importPath = regexp.MustCompile(`^[a-zA-Z0-9][\w./~+-]*$`)

// Write is io.Writer's.
func (p *packages) Write(text []byte) (int, error) {
	p.line = append(p.line, text...)
	for {
		line, rest, whole := bytes.Cut(p.line, []byte("\n"))
		if !whole {
			return len(text), nil
		}
		if p.compiled != nil && importPath.Match(line) {
			p.compiled()
		} else {
			p.kept.Write(append(line, '\n'))
		}
		p.line = rest
	}
}

// String is what is kept.
func (p *packages) String() string { return p.kept.String() + string(p.line) }
