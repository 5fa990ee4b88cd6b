package patterns_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/apptier/apptier/test/patterns"
)

var small = patterns.Table{
	Pods:    map[string]map[string]string{"a/web": nil, "b/web": nil, "a/database": nil},
	Outside: map[string][]netip.Addr{"internet": {netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("2001:db8::10")}},
}

func TestRowIsEverySourceToEveryTarget(t *testing.T) {
	checks, err := small.Checks([]patterns.Row{row(t, "a/web, internet -> database:53/UDP, DNS")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, check := range checks {
		got = append(got, check.String())
	}
	want := "a/web -> a/database:53/UDP; a/web -> DNS; " +
		"203.0.113.10 -> a/database:53/UDP; 2001:db8::10 -> a/database:53/UDP; 203.0.113.10 -> DNS; 2001:db8::10 -> DNS"
	if strings.Join(got, "; ") != want {
		t.Errorf("%s\nwant %s", strings.Join(got, "; "), want)
	}
}

func TestMistakesInRowsAreTold(t *testing.T) {
	for _, text := range []string{"a/web", "a/web -> database", "a/web -> database:http", "a/web -> database:70000", "a/web -> database:53/SCTP"} {
		if err := new(patterns.Row).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
	for _, text := range []string{"web -> database:80", "a/web -> nobody:80", "c/web -> database:80"} {
		if checks, err := small.Checks([]patterns.Row{row(t, text)}); err == nil {
			t.Errorf("%q was understood as %v", text, checks)
		}
	}
}

func row(t *testing.T, text string) patterns.Row {
	t.Helper()
	var r patterns.Row
	if err := r.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return r
}
