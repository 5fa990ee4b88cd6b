package docs

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// decision is what a page of docs/design begins with.
var decision = regexp.MustCompile(`^# (\d+)\. (.+)\n\n(\d{4}-\d{2}-\d{2})\n`)

// Decisions are numbered from 1 in the order of their dates, and each is in the index once, under its number, title and date.
func TestDecisions(t *testing.T) {
	files, err := filepath.Glob(root + "/docs/design/2*.md")
	if err != nil {
		t.Fatal(err)
	}
	dates, want := map[int]string{}, map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		match := decision.FindStringSubmatch(string(text))
		if match == nil {
			t.Errorf("%s does not begin with its number, title and date", file)
			continue
		}
		number, _ := strconv.Atoi(match[1])
		if _, taken := dates[number]; taken {
			t.Errorf("%s has a number that another page has", file)
		}
		if name := filepath.Base(file); name[:len(match[3])] != match[3] {
			t.Errorf("%s is of %s", file, match[3])
		}
		dates[number] = match[3]
		want[fmt.Sprintf("%s %s, %s", match[1], match[2], match[3])]++
	}
	for i := range len(dates) {
		if dates[i+1] == "" || dates[i+1] < dates[i] {
			t.Errorf("number %d is of %q, and the one before of %q", i+1, dates[i+1], dates[i])
		}
	}
	got := map[string]int{}
	for _, row := range read(t, root+"/docs/design/README.md").rows {
		got[fmt.Sprintf("%s %s, %s", row[0], row[1], row[2])]++
	}
	if !maps.Equal(got, want) {
		t.Errorf("the index has\n%q\nand the pages are\n%q", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}
