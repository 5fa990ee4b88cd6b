package report

import (
	"strings"
	"testing"
)

func TestRangesAreWithinWiderOnes(t *testing.T) {
	for _, test := range []struct {
		name, wider string
		want        bool
	}{
		{"10.1.0.0/16", "10.0.0.0/8", true},
		{"10.0.0.0/8", "10.1.0.0/16", false},
		{"10.0.0.0/8", "10.0.0.0/8", false},
		{"10.0.0.7-10.0.0.9", "10.0.0.0/28", true},
		{"10.0.0.0/8", "any IPv4 address", true},
		{"10.0.0.0/8", "any IPv6 address", false},
		{"2001:db8::/32", "any IPv6 address", true},
		{"10.0.0.0/8", "internet", false},
		{"8.8.8.0/24", "internet", true},
		{"internet", AnyAddress, true},
		{Elsewhere, AnyAddress, false},
		{Elsewhere, Everyone, true},
		{"shop/web", Everyone, false},
	} {
		if got := isWithin(test.name, test.wider); got != test.want {
			t.Errorf("%s is within %s: %t, want %t", test.name, test.wider, got, test.want)
		}
	}
}

// A matrix has ports in letters once they do not fit otherwise, and says so if that is not enough.
func TestMatrixFits(t *testing.T) {
	m := Map{Edges: []Edge{
		{From: []string{"shop/web"}, To: []string{"shop/api"}, Ports: []string{"TCP 8080", "UDP 53", "TCP 9090"}},
		{From: []string{AnyAddress}, To: []string{"shop/web"}, Ports: []string{"TCP", "UDP", "SCTP"}},
	}}
	for _, test := range []struct {
		width      int
		want, fail string
	}{
		{0, "8080,53/UDP,9090", ""},
		{80, "8080,53/UDP,9090", ""},
		{30, "a      8080,53/UDP,9090", ""},
		{20, "", "the matrix needs 21 columns and has 20: "},
	} {
		var out strings.Builder
		err := WriteMapMatrix(&out, m, test.width)
		if !strings.Contains(out.String(), test.want) || (err != nil) != (test.fail != "") || err != nil && !strings.HasPrefix(err.Error(), test.fail) {
			t.Errorf("with %d columns: %v\n%s", test.width, err, out.String())
		}
		for _, line := range strings.Split(strings.Split(out.String(), "\n\n")[0], "\n") {
			if test.width > 0 && len(line) > test.width {
				t.Errorf("more than %d columns: %s", test.width, line)
			}
		}
	}
}
