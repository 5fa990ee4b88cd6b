package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The section of benchmarks.md that is generated is between these lines.
const (
	sectionBegins = "<!-- enforcer: from here to its end this section is written by make bench-enforcer -->"
	sectionEnds   = "<!-- enforcer: end -->"
)

// document writes the tables into benchmarks.md of a folder, and the charts beside it.
func document(dir string, r *Results) error {
	file := filepath.Join(dir, "benchmarks.md")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(text), sectionBegins)
	_, after, ends := strings.Cut(rest, sectionEnds)
	if !begins || !ends {
		return fmt.Errorf("%s: has no lines %q and %q to write between", file, sectionBegins, sectionEnds)
	}
	if err := r.charts(filepath.Join(dir, "benchmarks")); err != nil {
		return err
	}
	section := before + sectionBegins + "\n\n" + r.tables() + sectionEnds + after
	return os.WriteFile(file, []byte(section), 0o644)
}

// tables are all results in Markdown.
func (r *Results) tables() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, and after, the bench's own with it: %s; Kubernetes %s, the enforcer %s. What misses its goal is bold.\n\n",
		r.Machine, r.LoadAfter, r.Kubernetes, r.Enforcer)
	for _, section := range []struct {
		title, chart string
		table        func() table
	}{
		{"From the start of the API call to the first packet judged anew, ms: median (middle half)", "events", r.eventTable},
		{"Where that time goes, ms, medians", "path", r.pathTable},
		{"The agent", "", r.agentTable},
		{"50 pods a second come and go, and change their label: ms from the start of the API call to the first packet judged anew (goal of p99: 50)", "churn", r.churnTable},
		{"Packets of connections that stay allowed while policies change", "", r.steadyTable},
		{"The speed of packets: processor time against no rules, the median of rounds (middle half)", "traffic", r.costTable},
		{"The speed of packets as the clock has it, on a machine that others use too: medians", "", r.rateTable},
		{"What it costs that connections are recorded, and staged policies judged: processor time against that of the first row, by round", "", r.auditTable},
		{"20,000 denied packets a second, medians (middle half)", "", r.floodTable},
		{"The memory of an agent with staged policies", "", r.memoryTable},
	} {
		t := section.table()
		if len(t.rows) == 0 {
			continue
		}
		fmt.Fprintf(&b, "**%s**\n\n%s\n", section.title, t)
		if section.chart != "" {
			fmt.Fprintf(&b, "![%s](benchmarks/%s.svg)\n\n", section.title, section.chart)
		}
	}
	return b.String()
}

// table is a table in Markdown, the first row of which has the titles.
type table struct{ rows [][]string }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t table) String() string {
	var b strings.Builder
	for i, row := range t.rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			b.WriteString(strings.Repeat("| --- ", len(row)) + "|\n")
		}
	}
	return b.String()
}

// perCluster starts a table with a column for each cluster, and one for what is hoped for.
func (r *Results) perCluster(what string) table {
	row := []string{what}
	for _, c := range r.Clusters {
		row = append(row, fmt.Sprintf("%s: %d pods, %d policies", c.Size.Name, c.Size.Local+c.Size.Remote, c.Size.Policies))
	}
	return table{[][]string{append(row, "goal")}}
}

func (r *Results) row(what, goal string, cell func(c *Cluster) string) []string {
	row := []string{what}
	for _, c := range r.Clusters {
		row = append(row, cell(c))
	}
	return append(row, goal)
}

func judged(e Event) float64  { return e.Judged }
func seen(e Event) float64    { return e.Seen }
func written(e Event) float64 { return e.Written }

// afterWatch is what the agent and the kernel add; it is below nothing if they were faster than the
// client that watches.
func afterWatch(e Event) float64 { return e.Judged - e.Seen }

func (r *Results) eventTable() table {
	t := r.perCluster("event")
	for _, kind := range eventKinds {
		t.add(r.row(kind, fmt.Sprint(goalOf(kind)), func(c *Cluster) string {
			s := figures(c.Events[kind], judged)
			return against(s.median(), goalOf(kind), s.spread("%.1f"))
		})...)
	}
	return t
}

func (r *Results) pathTable() table {
	t := table{[][]string{{"cluster", "event", "the call has returned", "a watch has told", "a packet is judged", "after the watch", "its middle half"}}}
	for _, c := range r.Clusters {
		for _, kind := range eventKinds {
			after := figures(c.Events[kind], afterWatch)
			t.add(c.Size.Name, kind, fmt.Sprintf("%.1f", figures(c.Events[kind], written).median()),
				fmt.Sprintf("%.1f", figures(c.Events[kind], seen).median()), fmt.Sprintf("%.1f", figures(c.Events[kind], judged).median()),
				fmt.Sprintf("%.1f", after.median()), fmt.Sprintf("%.1f–%.1f", after.quantile(0.25), after.quantile(0.75)))
		}
	}
	return t
}

func (r *Results) agentTable() table {
	t := r.perCluster("what")
	starts := func(figure func(Start) float64) func(c *Cluster) string {
		return func(c *Cluster) string { return figures(c.Starts, figure).spread("%.0f") }
	}
	t.add(r.row("start of the process to the first packet judged, ms", "400, 600, 1000", func(c *Cluster) string {
		s := figures(c.Starts, func(s Start) float64 { return s.Judged })
		return against(s.median(), sizeGoals[c.Size.Name].start, s.spread("%.0f"))
	})...)
	t.add(r.row("start of the process to ready, ms", "", starts(func(s Start) float64 { return s.Ready }))...)
	t.add(r.row("processor time of a start, ms", "", starts(func(s Start) float64 { return s.CPU }))...)
	t.add(r.row("of a start, the first sync, ms", "", starts(func(s Start) float64 { return s.Sync }))...)
	t.add(r.row("the API server sends all that the agent lists to a client that reads nothing of it, ms", "", starts(func(s Start) float64 { return s.Listed }))...)
	t.add(r.row("most memory after a start, MiB", "50, 60, 100", func(c *Cluster) string {
		s := figures(c.Starts, func(s Start) float64 { return s.Peak })
		return against(s.median(), sizeGoals[c.Size.Name].memory, s.spread("%.0f"))
	})...)
	t.add(r.row("most memory ever, MiB", "50, 60, 100", func(c *Cluster) string {
		return against(c.Peak, sizeGoals[c.Size.Name].memory, fmt.Sprintf("%.0f", c.Peak))
	})...)
	t.add(r.row("processor time of an event, ms", fmt.Sprint(cpuGoal), func(c *Cluster) string { return limit(c.CPU, cpuGoal) })...)
	t.add(r.row("one sync, on average, ms", "", func(c *Cluster) string { return fmt.Sprintf("%.1f", c.Sync) })...)
	return t
}

func (r *Results) churnTable() table {
	t := table{[][]string{{"cluster", "what", "events", "p50", "p99", "after the watch: p50", "p99"}}}
	for _, c := range r.Clusters {
		if c.Churn == nil {
			continue
		}
		for _, kind := range []struct {
			name   string
			events []Event
		}{
			{"a pod gets its address", c.Churn.Comes},
			{"a pod is deleted", c.Churn.Goes},
			{"a pod's label changes", c.Churn.Changes},
			{fmt.Sprintf("all; %.0f s, %d syncs, memory %.0f → %.0f MiB, %.0f %% of a processor", c.Churn.Seconds, c.Churn.Syncs,
				c.Churn.Before, c.Churn.After, c.Churn.CPU/10), c.Churn.all()},
		} {
			took, after := figures(kind.events, judged), figures(kind.events, afterWatch)
			t.add(c.Size.Name, kind.name, fmt.Sprint(len(took)), fmt.Sprintf("%.1f", took.median()), limit(took.quantile(0.99), churnGoal),
				fmt.Sprintf("%.1f", after.median()), fmt.Sprintf("%.1f", after.quantile(0.99)))
		}
	}
	if len(t.rows) == 1 {
		return table{}
	}
	return t
}

func (r *Results) steadyTable() table {
	t := table{[][]string{{"cluster", "changes", "syncs", "new connections (UDP): lost of sent", "one UDP connection", "one TCP connection: sent again", "packets that the rules dropped", "all other packets that had to pass: lost of sent"}}}
	of := func(t tally) string { return fmt.Sprintf("%d of %d", t.Lost, t.Sent) }
	for _, c := range r.Clusters {
		if s := c.Steady; s != nil {
			t.add(c.Size.Name, fmt.Sprintf("%d in %.0f s", s.Changes, s.Seconds), fmt.Sprint(s.Syncs), of(s.Connections), of(s.Datagrams), of(s.Stream), fmt.Sprint(s.Denied), of(c.Probes))
		}
	}
	if len(t.rows) == 1 {
		return table{}
	}
	return t
}

// trafficOf finds the figures under some rules.
func (r *Results) trafficOf(rules string) *Traffic {
	for _, t := range r.Traffic {
		if t.Rules == rules {
			return t
		}
	}
	return &Traffic{}
}

func (r *Results) costTable() table {
	t := table{[][]string{{"rules", "new TCP connections for the same time", "of those with tracking alone", "TCP bytes", "of tracking alone", "UDP packets", "of tracking alone", "new TCP connections against 10 policies"}}}
	bare, tracked, few := r.trafficOf(noRules), r.trafficOf(trackingOnly), r.trafficOf(fewPolicies)
	for _, l := range r.Traffic {
		if len(l.Connections) == 0 {
			return table{}
		}
		row := []string{l.Rules}
		for _, figure := range []func(*Traffic) samples{
			func(t *Traffic) samples { return t.ConnectionCPU },
			func(t *Traffic) samples { return t.ThroughputCPU },
			func(t *Traffic) samples { return t.DatagramCPU },
		} {
			for _, base := range []*Traffic{bare, tracked} {
				// As many as fit into the same time: the inverse of what one costs.
				row = append(row, figure(base).against(figure(l)).spread("%.2f"))
			}
		}
		t.add(append(row, samples(few.ConnectionCPU).against(l.ConnectionCPU).spread("%.2f"))...)
	}
	return t
}

func (r *Results) rateTable() table {
	t := table{[][]string{{"rules", "new TCP connections a second", "µs of processor each", "TCP, Gbit/s", "UDP packets a second", "µs of processor each"}}}
	for _, l := range r.Traffic {
		if len(l.Connections) == 0 {
			return table{}
		}
		t.add(l.Rules, samples(l.Connections).spread("%.0f"), samples(l.ConnectionCPU).spread("%.1f"), samples(l.Throughput).spread("%.1f"),
			samples(l.Datagrams).spread("%.0f"), samples(l.DatagramCPU).spread("%.2f"))
	}
	return t
}
