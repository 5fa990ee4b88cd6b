package main

import (
	"os"
	"strings"
	"testing"

	"gotest.tools/v3/golden"
)

// A report as ginkgo writes it becomes a table of the tests that were asked for, and a verdict.
func TestReport(t *testing.T) {
	content, err := os.ReadFile("testdata/report.json")
	if err != nil {
		t.Fatal(err)
	}
	specs, err := parseReport(content, "Netpol")
	if err != nil {
		t.Fatal(err)
	}
	explainSCTP(specs, sctpFeature)
	out := tableOf(specs) + "\n" + summary(specs) + "\n"
	if err := verdict(specs); err != nil {
		out += err.Error() + "\n"
	}
	golden.Assert(t, out, "report.txt")
}

// Without an enforcer a test has to fail, and for the reason that it is there for.
func TestNoticed(t *testing.T) {
	notices := spec{name: "a", state: failed, reason: "Had 7 wrong results in reachability matrix"}
	for _, c := range []struct {
		specs []spec
		want  string // the error; "" when there is none
	}{
		{nil, "no test ran"},
		{[]spec{{name: "b", state: skipped}}, "no test ran"},
		{[]spec{notices, {name: "b", state: skipped}}, ""},
		{[]spec{notices, {name: "b", state: passed}}, "b: passed though nothing is enforced"},
		{[]spec{notices, {name: "b", state: failed, reason: "no such image\nat all"}}, "b: failed for another reason: no such image"},
	} {
		err := noticed(c.specs)
		if (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
			t.Errorf("%v: %v, want %q", c.specs, err, c.want)
		}
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		specs []spec
		want  string // part of the error; "" when there is none
	}{
		{nil, "no test ran"},
		{[]spec{{name: "a", state: skipped}}, "no test ran"},
		{[]spec{{name: "a", state: passed}, {name: "b", state: skipped}}, ""},
		{[]spec{{name: "a", state: passed}, {name: "b", state: failed, reason: "because\nof this"}}, "b: because"},
	} {
		err := verdict(c.specs)
		if (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
			t.Errorf("%v: %v, want %q", c.specs, err, c.want)
		}
	}
}

func TestUnreadableReport(t *testing.T) {
	if _, err := parseReport([]byte("[{"), "Netpol"); err == nil {
		t.Error("half a report is taken")
	}
	if _, err := parseReport([]byte("[]"), "("); err == nil {
		t.Error("a focus that is no regular expression is taken")
	}
}

// What the tests that were not left out for SCTP's sake were skipped for, they say themselves.
func TestExplainSCTP(t *testing.T) {
	specs := []spec{
		{name: "a [Feature:SCTPConnectivity]", state: skipped}, {name: "b", state: skipped, reason: "own"},
		{name: "c [Feature:SCTPConnectivity]", state: passed},
	}
	explainSCTP(specs, "")
	if specs[0].reason != "" {
		t.Error("explained though nothing was left out")
	}
	explainSCTP(specs, sctpFeature)
	if specs[0].reason == "" || specs[1].reason != "own" || specs[2].reason != "" {
		t.Errorf("%v", specs)
	}
}

func TestArguments(t *testing.T) {
	args := suite{focus: "Netpol", procs: 3}.args("e2e.test", "kubeconfig", "dir", sctpFeature)
	line := strings.Join(args, " ")
	for _, want := range []string{"--procs=3 ", "--focus=Netpol ", "--skip=Feature:SCTPConnectivity e2e.test -- --kubeconfig=kubeconfig"} {
		if !strings.Contains(line, want) {
			t.Errorf("no %q in %s", want, line)
		}
	}
	if line := strings.Join((suite{}).args("e2e.test", "kubeconfig", "dir", ""), " "); strings.Contains(line, "--skip") {
		t.Errorf("something is skipped: %s", line)
	}
}
