package report

import (
	"fmt"
	"io"
	"strings"
)

// Changes are the connections that a change opens and closes.
type Changes struct {
	Changes []Change `json:"changes"`
	// Asked counts the questions that were asked of each state, and Unknown those to which one of them had no answer.
	Asked   int `json:"asked"`
	Unknown int `json:"unknown"`
}

// Change is connections between some ends that are opened, or closed.
type Change struct {
	Opened bool     `json:"opened"`
	From   []string `json:"from"`
	To     []string `json:"to"`
	Ports  []string `json:"ports"`
	// File and Line are where the rule is written that decides, and Reason says why; of a cluster, they are empty.
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Reason string `json:"reason"`
}

// Ends tells changes of other ends, or by another rule, apart.
func (c Change) Ends() string {
	return fmt.Sprintf("%t %q:%d %q %q", c.Opened, c.File, c.Line, c.From, c.To)
}

// Count returns how many changes open connections, and how many close some.
func (c Changes) Count() (opened, closed int) {
	for _, change := range c.Changes {
		if change.Opened {
			opened++
		} else {
			closed++
		}
	}
	return opened, closed
}

func (c Changes) summary() string {
	opened, closed := c.Count()
	text := fmt.Sprintf("%d opened, %d closed", opened, closed)
	if opened+closed == 0 {
		text = "no connection is opened or closed"
	}
	if c.Unknown > 0 {
		text += fmt.Sprintf("; not compared: %d questions that only a cluster can answer", c.Unknown)
	}
	return text
}

func (c Change) sign() string {
	if c.Opened {
		return "+"
	}
	return "-"
}

func (c Change) by() string {
	if c.Line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d", c.File, c.Line)
}

// WriteChanges writes changes for people.
func WriteChanges(out io.Writer, changes Changes) error {
	for _, c := range changes.Changes {
		text := fmt.Sprintf("%s %s → %s %s", c.sign(), Few(c.From), Few(c.To), Few(c.Ports))
		if by := c.by(); by != "" {
			text += ", by " + by
		}
		if _, err := fmt.Fprintln(out, text); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(out, changes.summary())
	return err
}

// WriteChangesMarkdown writes changes as a comment of a pull request.
func WriteChangesMarkdown(out io.Writer, changes Changes) error {
	fmt.Fprintf(out, "**Connections: %s**\n", changes.summary())
	if len(changes.Changes) == 0 {
		return nil
	}
	fmt.Fprint(out, "\n| | from | to | ports | by |\n| --- | --- | --- | --- | --- |\n")
	cell := func(words []string) string {
		return "`" + strings.ReplaceAll(Few(words), "|", "\\|") + "`"
	}
	for _, c := range changes.Changes {
		verb, by := "🔴 closed", c.by()
		if c.Opened {
			verb = "🟢 opened"
		}
		if by != "" {
			by = "`" + by + "`"
		}
		if _, err := fmt.Fprintf(out, "| %s | %s | %s | %s | %s |\n", verb, cell(c.From), cell(c.To), cell(c.Ports), by); err != nil {
			return err
		}
	}
	return nil
}

// WriteChangesJSON writes changes for programs.
func WriteChangesJSON(out io.Writer, changes Changes) error {
	opened, closed := changes.Count()
	return WriteJSON(out, map[string]any{"opened": opened, "closed": closed, "unknown": changes.Unknown, "changes": changes.Changes})
}
