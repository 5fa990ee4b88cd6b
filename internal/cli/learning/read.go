package learning

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/policy/learn"
)

// records is what files of connections say.
type records struct {
	observations []learn.Observation
	// problems are lines that cannot be read, with their place.
	problems []problem
	// ignored counts what is no connection, by why.
	ignored map[string]int64
	// missing is what the files say that they do not have.
	missing []string
	lost    int64
	// read counts the objects of each file that could be read.
	read map[string]int
}

// problem is something in a file that cannot be read.
type problem struct {
	file string
	line int
	what string
	fix  string
}

// String is the place, what is wrong, and what to do.
func (p problem) String() string {
	return fmt.Sprintf("%s:%d: error: %s\n    fix: %s", p.file, p.line, p.what, p.fix)
}

// readFile reads one file of connections; - is standard input.
func (r *records) readFile(name string, stdin io.Reader) error {
	if name == standardInput {
		return r.readFrom(manifest.StdinName, stdin)
	}
	file, err := os.Open(name)
	if err != nil {
		return err // it names the file and the reason
	}
	defer file.Close()
	return r.readFrom(name, file)
}

const longestLine = 16 << 20 // bytes

// read reads connections: one JSON object a line, or one in all.
func (r *records) readFrom(name string, from io.Reader) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 1<<16), longestLine)
	var whole bytes.Buffer
	isWhole, found, before := false, false, len(r.problems)
	for line := 1; lines.Scan(); line++ {
		text := bytes.TrimSpace(lines.Bytes())
		switch {
		case isWhole:
			whole.Write(lines.Bytes())
			whole.WriteByte('\n')
		case len(text) == 0:
		case !found && !json.Valid(text) && text[0] == '{':
			// The object goes on below, or this is the only line, and cut off.
			isWhole = true
			whole.Write(bytes.Repeat([]byte("\n"), line-1))
			whole.Write(lines.Bytes())
			whole.WriteByte('\n')
		default:
			found = true
			r.record(name, line, text)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	switch {
	case isWhole && json.Valid(whole.Bytes()):
		r.record(name, 1, whole.Bytes())
	case isWhole:
		line := 0
		for one := range bytes.Lines(whole.Bytes()) {
			line++
			if one = bytes.TrimSpace(one); len(one) > 0 {
				r.record(name, line, one)
			}
		}
	case !found:
		return fmt.Errorf("%s holds no connection: give what hubble observe -o json or kubectl apptier flows -o json prints", name)
	}
	if wrong := r.problems[before:]; len(wrong) > 1 && r.read[name] == 0 { // it is another kind of file: say it once
		wrong[0].fix = "give what hubble observe -o json or kubectl apptier flows -o json prints; manifests go with -f"
		r.problems = r.problems[:before+1]
	}
	return nil
}

const fixExport = "leave the line out, or export again, with hubble observe -o json or kubectl apptier flows -o json"

// jsonWords is what is wrong with a text, without the names of Go.
func jsonWords(err error) string {
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return syntax.Error()
	case errors.As(err, &wrong):
		return fmt.Sprintf("%s is a %s", cmp.Or(wrong.Field, "it"), wrong.Value)
	default:
		return err.Error()
	}
}

// record reads one object.
func (r *records) record(name string, line int, text []byte) {
	fails := func(what string) {
		r.problems = append(r.problems, problem{name, line, what, fixExport})
	}
	if !json.Valid(text) {
		var into any
		fails("this is no JSON, it may be cut off: " + jsonWords(json.Unmarshal(text, &into)))
		return
	}
	var is struct {
		Kind string          `json:"kind"`
		Flow json.RawMessage `json:"flow"`
		Lost *struct {
			Count int64 `json:"num_events_lost"`
		} `json:"lost_events"`
		NodeStatus json.RawMessage `json:"node_status"`
		AgentEvent json.RawMessage `json:"agent_event"`
		Verdict    string          `json:"verdict"`
	}
	if err := json.Unmarshal(text, &is); err != nil {
		fails("this is no connection: " + jsonWords(err))
		return
	}
	var err error
	switch {
	case is.Kind == "ConnectionList", is.Kind == "Connection":
		err = r.connections(is.Kind, text)
	case is.Flow != nil:
		err = r.flow(is.Flow)
	case is.Lost != nil:
		r.lost += max(is.Lost.Count, 1)
	case is.NodeStatus != nil, is.AgentEvent != nil:
	case is.Verdict != "":
		err = r.flow(text)
	default:
		err = errors.New("this is neither a flow of Hubble nor a ConnectionList")
	}
	if err != nil {
		fails(err.Error())
		return
	}
	if r.read == nil {
		r.read = map[string]int{}
	}
	r.read[name]++
}

func (r *records) ignore(why string, n int64) {
	if r.ignored == nil {
		r.ignored = map[string]int64{}
	}
	r.ignored[why] += n
}
