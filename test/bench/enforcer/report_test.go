package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// few are results of everything, but not many.
func few() *Results {
	e := Event{Written: 2, Seen: 3, Judged: 4}
	c := &Cluster{
		Size: size{Name: "a", Local: 1, Remote: 2, Policies: 3}, Events: map[string][]Event{}, CPU: 11,
		Starts: []Start{{Judged: 100, Peak: 40}}, Peak: 45,
		Steady: &Steady{Changes: 7}, Churn: &Churn{Comes: []Event{e}, Goes: []Event{e}, Changes: []Event{{Judged: 51}}},
	}
	for _, kind := range eventKinds {
		c.Events[kind] = []Event{e}
	}
	r := &Results{Machine: "a machine", Clusters: []*Cluster{c}}
	for _, rules := range []string{noRules, trackingOnly, fewPolicies} {
		one := []float64{1}
		r.Traffic = append(r.Traffic, &Traffic{rules, one, one, one, one, one, one})
	}
	return r
}

// The section of the page is replaced, as often as one likes, and the rest of it stays.
func TestDocument(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "benchmarks.md")
	if err := document(dir, few()); err == nil {
		t.Error("a page that is missing: no error")
	}
	write := func(text string) {
		if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("no section")
	if err := document(dir, few()); err == nil || !strings.Contains(err.Error(), sectionBegins) {
		t.Errorf("a page without the section: got the error %v", err)
	}
	write("before\n" + sectionBegins + "\nearlier figures\n" + sectionEnds + "\nafter\n")
	for range 2 {
		if err := document(dir, few()); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	if !strings.HasPrefix(got, "before\n"+sectionBegins) || !strings.HasSuffix(got, sectionEnds+"\nafter\n") || strings.Contains(got, "earlier figures") {
		t.Errorf("got the page\n%s", got)
	}
	for _, chart := range []string{"events", "path", "churn", "traffic"} {
		if !strings.Contains(got, "benchmarks/"+chart+".svg") {
			t.Errorf("the page does not show the chart %s", chart)
		}
		if _, err := os.Stat(filepath.Join(dir, "benchmarks", chart+".svg")); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatMissesItsGoalIsBold(t *testing.T) {
	got := few().tables()
	for _, want := range []string{
		"| policy created, closes | 4.0 (4.0–4.0) | 8 |",
		"| processor time of an event, ms | **11.0** | 10 |",
		"| a | a pod's label changes | 1 | 51.0 | **51.0** | 51.0 | 51.0 |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nis not in\n%s", want, got)
		}
	}
}
