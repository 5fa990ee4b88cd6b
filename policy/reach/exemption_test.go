package reach_test

import "testing"

// closed isolates every pod of shop both ways and allows nothing.
const closed = `{podSelector: {}, policyTypes: [Ingress, Egress]}`

func TestExemptions(t *testing.T) {
	runAll(t, []spec{
		{
			name:     "a pod always reaches itself, by any of its addresses and by loopback",
			policies: []string{closed},
			flows: []string{
				"shop/web shop/web 80 Allow",
				"10.1.0.1 10.1.0.1 80 Allow",
				"shop/web fd00:1::1 80 Allow",
				"shop/web 127.0.0.1 80 Allow",
				"shop/web ::1 80 Allow",
				"127.0.0.1 shop/web 80 Deny",
			},
		},
		{
			name:     "a pod and its own node always reach each other, by any address of the node",
			policies: []string{closed},
			flows: []string{
				"192.168.0.1 shop/web 80 Allow",
				"shop/web 192.168.0.1 80 Allow",
				"fd00:192::1 shop/web 80 Allow",
				"shop/web fd00:192::1 80/UDP Allow",
				"198.51.100.2 shop/db 80 Allow",
			},
		},
		{
			name:     "another node is an address like any other",
			policies: []string{closed},
			flows:    []string{"192.168.0.2 shop/web 80 Deny", "shop/web 192.168.0.2 80 Deny", "198.51.100.2 shop/web 80 Deny"},
		},
		{
			name:     "what a pod's status says about its node does not count",
			policies: []string{closed},
			flows:    []string{"192.168.0.3 shop/edge 80 Deny", "shop/edge 192.168.0.3 80 Deny", "192.168.0.3 shop/edge-2 80 Deny"},
		},
		{
			name:     "a node is not what its object says if that is a pod's, or in its range of pods",
			policies: []string{closed},
			flows:    []string{"10.1.0.2 shop/web 80 Deny", "shop/web 10.1.0.2 80 Deny", "10.1.0.77 shop/web 80 Deny", "shop/web 10.1.0.77 80 Deny"},
		},
		{
			name:     "a pod on its node's network is the node to the other pods there, and a stranger elsewhere",
			policies: []string{closed},
			flows: []string{
				"shop/agent shop/web 80 Allow",
				"shop/web shop/agent 80 Allow",
				"shop/agent shop/db 80 Deny",
				"shop/db shop/agent 80 Deny",
			},
		},
		{
			name:     "no policy isolates a pod on its node's network",
			policies: []string{closed},
			flows: []string{
				"8.8.8.8 shop/agent 80 Allow",
				"shop/agent 8.8.8.8 80 Allow",
				"ops/web shop/agent@192.168.0.1 80 Unknown",
				"ops/admin shop/agent 80 Allow",
			},
		},
		{
			name: "no selector matches a pod on its node's network",
			policies: []string{`
podSelector: {matchLabels: {app: db}}
ingress:
- from: [{podSelector: {}}, {namespaceSelector: {}}, {namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}]
`},
			flows: []string{"shop/agent shop/db 80 Deny", "shop/web shop/db 80 Allow"},
		},
		{
			name:     "no policy is about flows between addresses that are not on the pod network",
			policies: []string{closed},
			flows:    []string{"8.8.8.8 203.0.113.1 80 Allow", "192.168.0.1 8.8.8.8 80 Allow", "shop/agent 192.168.0.2 80 Allow"},
		},
		{
			name:     "the address of a finished pod is its next owner's, or nobody's",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {}}]}]}`, `{podSelector: {matchLabels: {app: web}}}`},
			flows: []string{
				// shop/broken had it before ops/admin.
				"10.1.0.2 shop/db 80 Deny",
				"10.1.0.9 shop/db 80 Deny",
				"ops/admin 10.1.0.9 80 Allow",
			},
		},
	})
}

func TestUnknown(t *testing.T) {
	selectors := `{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}]}`
	blocks := `{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 81}]}]}`
	runAll(t, []spec{
		{
			name: "an endpoint that cannot be found",
			flows: []string{
				"shop/missing shop/db 80 Unknown",
				"shop/db shop/missing 80 Unknown",
				"shop/done shop/db 80 Unknown",
				"shop/db shop/broken 80 Unknown",
			},
		},
		{
			name:  "an address that two pods claim; by name they are told apart",
			flows: []string{"10.9.9.9 shop/db 80 Unknown", "shop/twin-1 shop/db 80 Allow", "shop/twin-1 shop/twin-2 80 Allow"},
		},
		{
			name:  "an address that is not the named pod's",
			flows: []string{"shop/web@10.2.0.1 shop/db 80 Unknown", "shop/web@10.1.0.1 shop/db 80 Allow"},
		},
		{
			name:  "ends without a common address family",
			flows: []string{"ops/admin ops/web 80 Unknown", "shop/web ops/web 80 Allow", "8.8.8.8 2001:db8::1 80 Unknown"},
		},
		{
			name:  "a port that does not exist",
			flows: []string{"shop/web shop/db 0 Unknown", "shop/web shop/db 65536/UDP Unknown"},
		},
		{
			name:     "a pod without address, when only a block might allow",
			policies: []string{selectors, blocks},
			flows: []string{
				"shop/new shop/db 80 Allow",
				"shop/new shop/db 81 Unknown",
				"shop/new shop/db 82 Deny",
				"shop/new@10.7.7.7 shop/db 81 Allow",
				"shop/new@11.7.7.7 shop/db 81 Deny",
			},
		},
		{
			name:     "a denial at the other end prevails",
			policies: []string{blocks, `{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}`},
			flows:    []string{"shop/new shop/db 81 Deny"},
		},
		{
			name:     "a pod that is on no node yet, and a node or a pod on its network",
			policies: []string{closed},
			flows: []string{
				"192.168.0.1 shop/new 80 Unknown",
				"shop/new 192.168.0.2 80 Unknown",
				"shop/agent shop/new 80 Unknown",
				"shop/agent-new shop/web 80 Unknown",
				"8.8.8.8 shop/new 80 Deny",
			},
		},
		{
			name:     "a rule that allows spares the question which node it is",
			policies: []string{`{podSelector: {}, ingress: [{}]}`},
			flows:    []string{"192.168.0.1 shop/new 80 Allow", "shop/agent-new shop/web 80 Allow"},
		},
	})
}

func TestFailClosed(t *testing.T) {
	ingress := func(rule string) []string {
		return []string{`{podSelector: {matchLabels: {app: db}}, ingress: [` + rule + `, {from: [{podSelector: {}}], ports: [{port: 9}]}]}`}
	}
	// Each of these rules matches nothing, and the policy's other rule still holds.
	nothing := []string{"shop/web shop/db 80 Deny", "8.8.8.8 shop/db 80 Deny", "shop/web shop/db 9 Allow"}
	runAll(t, []spec{
		{"an operator that does not exist", ingress(`{from: [{podSelector: {matchExpressions: [{key: app, operator: Near}]}}]}`), nothing},
		{"In without values", ingress(`{from: [{namespaceSelector: {matchExpressions: [{key: app, operator: In}]}}]}`), nothing},
		{"Exists with values", ingress(`{from: [{podSelector: {matchExpressions: [{key: app, operator: Exists, values: [a]}]}}]}`), nothing},
		{"a label value that cannot be", ingress(`{from: [{podSelector: {matchLabels: {app: "not/ok"}}}]}`), nothing},
		{"an empty peer", ingress(`{from: [{}]}`), nothing},
		{"a block that cannot be read", ingress(`{from: [{ipBlock: {cidr: 0.0.0.0}}]}`), nothing},
		{"a block with leading zeros", ingress(`{from: [{ipBlock: {cidr: 008.0.0.0/8}}]}`), nothing},
		{"an exception that cannot be read", ingress(`{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [ten]}}]}`), nothing},
		{"a block with a selector", ingress(`{from: [{ipBlock: {cidr: 0.0.0.0/0}, podSelector: {}}]}`), nothing},
		{"a protocol that does not exist", ingress(`{ports: [{port: 80, protocol: ICMP}]}`), append(nothing, "shop/web shop/db 0/ICMP Deny")},
		{"endPort without port", ingress(`{ports: [{endPort: 90}]}`), nothing},
		{"a port that does not exist", ingress(`{ports: [{port: 65536}, {port: 0}]}`), append(nothing, "shop/web shop/db 0/ICMP Deny")},
		{"endPort below port", ingress(`{ports: [{port: 80, endPort: 79}]}`), nothing},
		{"endPort with a named port", ingress(`{ports: [{port: pg, endPort: 6000}]}`), append(nothing, "shop/web shop/db 5432 Deny")},
		{"an empty port name", ingress(`{ports: [{port: ""}]}`), nothing},
		{
			name:     "the policy's own selector: every pod of the namespace is isolated, and its rules are void",
			policies: []string{`{podSelector: {matchExpressions: [{key: app, operator: Near}]}, ingress: [{}]}`},
			flows:    []string{"ops/admin shop/web 80 Deny", "ops/admin shop/db 80 Deny", "shop/web ops/admin 80 Allow"},
		},
		{
			name:     "an unknown policy type is none",
			policies: []string{`{podSelector: {}, policyTypes: [Sideways]}`},
			flows:    []string{"ops/admin shop/web 80 Allow", "shop/web ops/admin 80 Allow"},
		},
	})
}
