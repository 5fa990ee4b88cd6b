package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// spec is how one test ended.
type spec struct {
	name    string
	state   state
	reason  string // why it failed or was skipped
	runTime time.Duration
}

type state string

const (
	passed  state = "passed"
	failed  state = "failed"
	skipped state = "skipped"
)

// ginkgoReport is what is wanted of a report of ginkgo's (github.com/onsi/ginkgo/v2/types.Report).
type ginkgoReport struct {
	SpecReports []struct {
		ContainerHierarchyTexts []string
		LeafNodeType            string
		LeafNodeText            string
		State                   string
		RunTime                 time.Duration
		Failure                 struct{ Message string }
	}
}

// parseReport reads the tests that match focus, in the order of their names: of the others a report says
// that they were skipped. What surrounds the tests, such as waiting for nodes, is there if it failed.
func parseReport(content []byte, focus string) ([]spec, error) {
	var reports []ginkgoReport
	if err := json.Unmarshal(content, &reports); err != nil {
		return nil, fmt.Errorf("read the report of the tests: %w", err)
	}
	wanted, err := regexp.Compile(focus)
	if err != nil {
		return nil, fmt.Errorf("the focus: %w", err)
	}
	var specs []spec
	for _, report := range reports {
		for _, r := range report.SpecReports {
			name := strings.Join(append(r.ContainerHierarchyTexts, r.LeafNodeText), " ")
			s := spec{name: name, state: stateOf(r.State), reason: r.Failure.Message, runTime: r.RunTime}
			if r.LeafNodeType != "It" {
				s.name = strings.TrimSpace(r.LeafNodeType + " " + name)
			}
			if r.LeafNodeType == "It" && wanted.MatchString(name) || r.LeafNodeType != "It" && s.state == failed {
				specs = append(specs, s)
			}
		}
	}
	slices.SortStableFunc(specs, func(a, b spec) int { return strings.Compare(a.name, b.name) })
	return specs, nil
}

// stateOf knows ginkgo's states: besides failed there are panicked, interrupted, aborted and timedout.
func stateOf(word string) state {
	switch word {
	case "passed":
		return passed
	case "skipped", "pending":
		return skipped
	}
	return failed
}

// explainSCTP says why the tests that were left out were.
func explainSCTP(specs []spec, skip string) {
	for i, s := range specs {
		if skip != "" && s.state == skipped && strings.Contains(s.name, skip) {
			specs[i].reason = "this kernel has no SCTP sockets"
		}
	}
}

// common is what nearly all names have, and nobody needs to read.
var common = strings.NewReplacer("[sig-network] ", "", " NetworkPolicy between server and client", ":",
	" [Feature:NetworkPolicy]", "")

const nameWidth = 110

// tableOf prints the tests: name, result, duration.
func tableOf(specs []spec) string {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.SetColumnConfigs([]table.ColumnConfig{
		{Number: 1, WidthMax: nameWidth, WidthMaxEnforcer: text.WrapSoft},
		{Number: 3, Align: text.AlignRight},
	})
	t.AppendHeader(table.Row{"test", "result", "time"})
	for _, s := range specs {
		result, duration := string(s.state), s.runTime.Round(time.Second).String()
		if s.state == skipped {
			duration = ""
			if s.reason != "" {
				result += ": " + s.reason
			}
		}
		t.AppendRow(table.Row{common.Replace(s.name), result, duration})
	}
	return t.Render()
}

func count(specs []spec, wanted state) int {
	n := 0
	for _, s := range specs {
		if s.state == wanted {
			n++
		}
	}
	return n
}

func failures(specs []spec) int { return count(specs, failed) }

func summary(specs []spec) string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", count(specs, passed), failures(specs), count(specs, skipped))
}

var errNoTest = errors.New("no test ran")

// verdict is an error unless tests ran and all passed.
func verdict(specs []spec) error {
	var errs []error
	for _, s := range specs {
		if s.state == failed {
			reason, _, _ := strings.Cut(s.reason, "\n")
			errs = append(errs, fmt.Errorf("%s: %s", common.Replace(s.name), reason))
		}
	}
	if len(errs) == 0 && count(specs, passed) == 0 {
		errs = append(errs, errNoTest)
	}
	return errors.Join(errs...)
}

// wrongConnections is in the message of a test that found other connections than its policies allow:
// k8s.io/kubernetes/test/e2e/network/netpol/test_helper.go.
const wrongConnections = "wrong results in reachability matrix"

// noticed is an error unless tests ran, and all found connections that their policies forbid.
func noticed(specs []spec) error {
	var errs []error
	for _, s := range specs {
		switch {
		case s.state == passed:
			errs = append(errs, fmt.Errorf("%s: passed though nothing is enforced", common.Replace(s.name)))
		case s.state == failed && !strings.Contains(s.reason, wrongConnections):
			reason, _, _ := strings.Cut(s.reason, "\n")
			errs = append(errs, fmt.Errorf("%s: failed for another reason: %s", common.Replace(s.name), reason))
		}
	}
	if len(errs) == 0 && failures(specs) == 0 {
		errs = append(errs, errNoTest)
	}
	return errors.Join(errs...)
}
