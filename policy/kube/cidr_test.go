package kube_test

import (
	"testing"

	"github.com/apptier/apptier/policy/kube"
)

func TestParseCIDR(t *testing.T) {
	for text, want := range map[string]string{
		"10.1.0.0/16":              "10.1.0.0/16",
		"10.1.2.3/16":              "10.1.0.0/16",
		"0.0.0.0/0":                "0.0.0.0/0",
		"::ffff:10.1.0.0/112":      "10.1.0.0/16",
		"::ffff:a01:203/112":       "10.1.0.0/16",
		"0:0:0::ffff:10.1.0.0/112": "10.1.0.0/16",
		"::ffff:10.1.2.3/128":      "10.1.2.3/32",
		"::ffff:0.0.0.0/96":        "0.0.0.0/0",
		"::ffff:0.0.0.0/95":        "::fffe:0:0/95",
		"::/0":                     "::/0",
		"fd00:0:0::1/64":           "fd00::/64",
		"::10.1.0.0/112":           "::a01:0/112",
	} {
		t.Run(text, func(t *testing.T) {
			got, err := kube.ParseCIDR(text)
			if err != nil || got.String() != want || got != got.Masked() {
				t.Errorf("%s, %v; want %s", got, err, want)
			}
		})
	}
	for _, text := range []string{"", "010.1.0.0/16", "10.1.0.0/016", "::ffff:010.1.0.0/112", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "nonsense/8", "fe80::%eth0/64", "::ffff:10.0.0.0/129", "10.0.0.0/8 "} {
		if got, err := kube.ParseCIDR(text); err == nil {
			t.Errorf("%q is read as %s", text, got)
		}
	}
}
