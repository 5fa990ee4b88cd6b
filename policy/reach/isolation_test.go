package reach_test

import "testing"

func TestIsolation(t *testing.T) {
	runAll(t, []spec{
		{
			name: "without policies everything passes",
			flows: []string{
				"shop/web shop/db 5432 Allow",
				"8.8.8.8 shop/db 5432 Allow",
				"shop/db 2001:db8::1 53/UDP Allow",
			},
		},
		{
			name:     "an empty podSelector isolates all pods of the policy's namespace, and no others",
			policies: []string{`{podSelector: {}, policyTypes: [Ingress]}`},
			flows: []string{
				"ops/admin shop/web 80 Deny",
				"ops/admin shop/db 80 Deny",
				"shop/web ops/admin 80 Allow",
				"shop/web ops/web 80 Allow",
			},
		},
		{
			name:     "a podSelector isolates the pods that it matches",
			policies: []string{`{podSelector: {matchLabels: {app: db}}}`},
			flows:    []string{"ops/admin shop/db 80 Deny", "ops/admin shop/web 80 Allow"},
		},
		{
			name: "matchExpressions select as matchLabels do, and all must match",
			policies: []string{`
podSelector:
  matchExpressions:
  - {key: app, operator: In, values: [web, api]}
  - {key: app, operator: NotIn, values: [api]}
  - {key: track, operator: Exists}
  - {key: canary, operator: DoesNotExist}
`},
			flows: []string{"ops/admin shop/web 80 Deny", "ops/admin shop/db 80 Allow"},
		},
		{
			name:     "NotIn matches pods without the label",
			policies: []string{`{podSelector: {matchExpressions: [{key: track, operator: NotIn, values: [stable]}]}}`},
			flows:    []string{"ops/admin shop/db 80 Deny", "ops/admin shop/web 80 Allow"},
		},
		{
			name:     "a pod is isolated in the listed directions only",
			policies: []string{`{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}`},
			flows:    []string{"shop/web shop/db 80 Deny", "shop/db shop/web 80 Allow"},
		},
		{
			name:     "both ends must allow",
			policies: []string{`{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{}]}`, `{podSelector: {matchLabels: {app: db}}}`},
			flows:    []string{"shop/web ops/admin 80 Allow", "shop/web shop/db 80 Deny"},
		},
		{
			name: "policies add up",
			policies: []string{
				`{podSelector: {}}`,
				`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {}}]}]}`,
			},
			flows: []string{"shop/web shop/db 80 Allow", "shop/db shop/web 80 Deny", "ops/admin shop/db 80 Deny"},
		},
	})
}

func TestPolicyTypes(t *testing.T) {
	runAll(t, []spec{
		{
			name:     "omitted, without egress rules: ingress",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, egress: []}`},
			flows:    []string{"shop/web shop/db 80 Deny", "shop/db shop/web 80 Allow"},
		},
		{
			name:     "omitted, with egress rules: both, even without ingress rules",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, egress: [{ports: [{port: 53}]}]}`},
			flows:    []string{"shop/web shop/db 80 Deny", "shop/db shop/web 80 Deny", "shop/db shop/web 53 Allow"},
		},
		{
			name:     "an empty list is an omitted one",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, policyTypes: []}`},
			flows:    []string{"shop/web shop/db 80 Deny", "shop/db shop/web 80 Allow"},
		},
		{
			name:     "rules of a direction that is not listed are dead, and leave it open",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress], egress: [{ports: [{port: 53}]}]}`},
			flows:    []string{"shop/db shop/web 80 Allow", "shop/web shop/db 53 Deny"},
		},
	})
}

func TestRules(t *testing.T) {
	runAll(t, []spec{
		{
			name:     "an empty rule allows everyone and everything",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{}]}`},
			flows:    []string{"ops/admin shop/db 1 Allow", "8.8.8.8 shop/db 53/UDP Allow", "shop/new shop/db 9/SCTP Allow"},
		},
		{
			name:     "an empty from is a missing one",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [], ports: [{port: 80}]}]}`},
			flows:    []string{"ops/admin shop/db 80 Allow", "8.8.8.8 shop/db 80 Allow", "8.8.8.8 shop/db 81 Deny"},
		},
		{
			name:     "an empty to is a missing one",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress], egress: [{to: [], ports: [{port: 80}]}]}`},
			flows:    []string{"shop/db ops/admin 80 Allow", "shop/db 8.8.8.8 80 Allow", "shop/db 8.8.8.8 81 Deny"},
		},
		{
			name:     "empty ports are missing ones",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {}}], ports: []}]}`},
			flows:    []string{"shop/web shop/db 1 Allow", "shop/web shop/db 65535/UDP Allow", "ops/admin shop/db 1 Deny"},
		},
		{
			name: "peers and ports of one rule must both match; those of different rules do not mix",
			policies: []string{`
podSelector: {matchLabels: {app: db}}
ingress:
- {from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}
- {from: [{namespaceSelector: {matchLabels: {team: operations}}}], ports: [{port: 81}]}
`},
			flows: []string{
				"shop/web shop/db 80 Allow",
				"shop/web shop/db 81 Deny",
				"ops/admin shop/db 81 Allow",
				"ops/admin shop/db 80 Deny",
			},
		},
		{
			name: "each list is a union",
			policies: []string{`
podSelector: {matchLabels: {app: db}}
ingress:
- from: [{podSelector: {matchLabels: {app: web}}}, {ipBlock: {cidr: 8.8.8.0/24}}]
  ports: [{port: 80}, {port: 81, protocol: UDP}]
`},
			flows: []string{
				"shop/web shop/db 80 Allow",
				"8.8.8.8 shop/db 81/UDP Allow",
				"8.8.4.4 shop/db 80 Deny",
				"8.8.8.8 shop/db 81 Deny",
			},
		},
	})
}
