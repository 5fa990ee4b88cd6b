package kernel

import (
	"fmt"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/test/lab"
)

// Staged policies let everything pass that passes without them. Each connection that they would deny is counted once,
// by its first packet.
func TestStagedPoliciesCount(t *testing.T) {
	l := newLab(t, lab.Routed)
	kernel := openNode(t, l.Node)
	client, server := l.Hosts[0], l.Hosts[1]
	for _, test := range []struct {
		name, enforced, staged string
		port                   uint16
		egress, ingress        uint64
	}{
		{"no policy isolates either end", "", `{podSelector: {}, ingress: [{ports: [{port: 81}]}]}`, 80, 0, 1},
		{"what it allows", "", `{podSelector: {}, ingress: [{ports: [{port: 81}]}]}`, 81, 0, 0},
		{"egress comes first", "", `{podSelector: {}, policyTypes: [Ingress, Egress]}`, 80, 1, 0},
		{"beside an enforced one that allows it", `{podSelector: {}, ingress: [{ports: [{port: 80}]}]}`, `{podSelector: {}}`, 80, 0, 0},
		{"in the place of one that allows it", `{podSelector: {}, ingress: [{ports: [{port: 80}]}]}`, `same {podSelector: {}}`, 80, 0, 1},
	} {
		for _, v6 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, IPv6 %v", test.name, v6), func(t *testing.T) {
				s := l.Shop()
				staged, replaces := strings.CutPrefix(test.staged, "same ")
				name := map[bool]string{false: "staged", true: "enforced"}[replaces]
				if test.enforced != "" {
					s.Policies = []*networkingv1.NetworkPolicy{lab.Policy(t, "enforced", test.enforced)}
				}
				s.Staged = []*networkingv1.NetworkPolicy{lab.Policy(t, name, staged)}
				l.Load(t, s, 1)
				c := l.dial(t, client, server, v6, test.port)
				for range 3 {
					if !sends(t, c.client, c.server, soon) || !sends(t, c.server, c.client, soon) {
						t.Fatal("a staged policy denies something")
					}
				}
				counts, err := nft.Counts(t.Context(), kernel)
				lab.Must(t, err)
				audits := compile.Audits()
				if egress, ingress := counts[audits[compile.Egress]], counts[audits[compile.Ingress]]; egress != test.egress || ingress != test.ingress {
					t.Errorf("counted egress %d, ingress %d, want %d and %d", egress, ingress, test.egress, test.ingress)
				}
				report, err := l.prove(t, s)
				lab.Must(t, err)
				if len(report.Differences) > 0 {
					t.Errorf("%v", report.Differences)
				}
			})
		}
	}
}
