package reach_test

import "testing"

func TestPorts(t *testing.T) {
	runAll(t, []spec{
		{
			name:     "the protocol is TCP by default, of flows too",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 80}]}]}`},
			flows: []string{
				"shop/web shop/db 80 Allow",
				"shop/web shop/db 80/TCP Allow",
				"shop/web shop/db 80/UDP Deny",
				"shop/web shop/db 80/SCTP Deny",
				"shop/web shop/db 81 Deny",
			},
		},
		{
			name:     "UDP and SCTP",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 53, protocol: UDP}, {port: 9, protocol: SCTP}]}]}`},
			flows:    []string{"shop/web shop/db 53/UDP Allow", "shop/web shop/db 9/SCTP Allow", "shop/web shop/db 53 Deny", "shop/web shop/db 9/UDP Deny"},
		},
		{
			name:     "without a number: every port of the protocol",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{protocol: UDP}]}]}`},
			flows:    []string{"shop/web shop/db 1/UDP Allow", "shop/web shop/db 65535/UDP Allow", "shop/web shop/db 1 Deny"},
		},
		{
			name:     "an empty port is every TCP port",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{}]}]}`},
			flows:    []string{"shop/web shop/db 1 Allow", "shop/web shop/db 1/UDP Deny"},
		},
		{
			name:     "endPort is inclusive",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 30000, endPort: 32767}]}]}`},
			flows: []string{
				"shop/web shop/db 29999 Deny",
				"shop/web shop/db 30000 Allow",
				"shop/web shop/db 32767 Allow",
				"shop/web shop/db 32768 Deny",
				"shop/web shop/db 30000/UDP Deny",
			},
		},
		{
			name:     "a protocol without ports meets rules without ports only",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{}]}]}`, `{podSelector: {matchLabels: {app: web}}, ingress: [{}]}`},
			flows:    []string{"ops/admin shop/db 0/ICMP Deny", "ops/admin shop/web 0/ICMP Allow"},
		},
	})
}

func TestNamedPorts(t *testing.T) {
	runAll(t, []spec{
		{
			name:     "a name means the ports that the pod's containers declare under it",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: pg}]}]}`},
			flows:    []string{"shop/web shop/db 5432 Allow", "shop/web shop/db 6432 Allow", "shop/web shop/db 80 Deny"},
		},
		{
			name:     "the protocol must match the declared one",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: dns}, {port: pg, protocol: UDP}]}]}`},
			flows:    []string{"shop/web shop/db 53 Deny", "shop/web shop/db 53/UDP Deny", "shop/web shop/db 5432/UDP Deny"},
		},
		{
			name:     "a name under its own protocol",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: dns, protocol: UDP}]}]}`},
			flows:    []string{"shop/web shop/db 53/UDP Allow", "shop/web shop/db 53 Deny"},
		},
		{
			name:     "sidecars count, init containers that end do not",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: metrics}, {port: setup}]}]}`},
			flows:    []string{"shop/web shop/db 9187 Allow", "shop/web shop/db 7000 Deny"},
		},
		{
			name:     "egress looks the name up on the destination pod, whichever way the peer matched",
			policies: []string{`{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: pg}]}]}`},
			flows: []string{
				"shop/web shop/db 5432 Allow",
				"shop/web 10.2.0.1 5432 Allow",
				"shop/web ops/admin 5432 Deny",
				"shop/web 10.5.5.5 5432 Deny",
			},
		},
		{
			name:     "egress to what is not on the pod network knows no names",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress], egress: [{ports: [{port: pg}]}]}`},
			flows:    []string{"shop/db 8.8.8.8 5432 Deny", "shop/db shop/agent 5432 Deny"},
		},
	})
}
