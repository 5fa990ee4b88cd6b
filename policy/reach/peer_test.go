package reach_test

import "testing"

func TestSelectorPeers(t *testing.T) {
	runAll(t, []spec{
		{
			name:     "a podSelector alone means the policy's namespace",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}`},
			flows:    []string{"shop/web shop/db 80 Allow", "ops/web shop/db 80 Deny", "8.8.8.8 shop/db 80 Deny"},
		},
		{
			name:     "a namespaceSelector alone means all pods there",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: operations}}}]}]}`},
			flows:    []string{"ops/admin shop/db 80 Allow", "ops/web shop/db 80 Allow", "shop/web shop/db 80 Deny"},
		},
		{
			name: "a namespaceSelector and a podSelector in one peer must both match",
			policies: []string{`
podSelector: {matchLabels: {app: db}}
ingress:
- from:
  - namespaceSelector: {matchLabels: {team: operations}}
    podSelector: {matchLabels: {app: web}}
`},
			flows: []string{"ops/web shop/db 80 Allow", "ops/admin shop/db 80 Deny", "shop/web shop/db 80 Deny"},
		},
		{
			name: "in two peers either suffices",
			policies: []string{`
podSelector: {matchLabels: {app: db}}
ingress:
- from:
  - namespaceSelector: {matchLabels: {team: operations}}
  - podSelector: {matchLabels: {app: web}}
`},
			flows: []string{"ops/web shop/db 80 Allow", "ops/admin shop/db 80 Allow", "shop/web shop/db 80 Allow", "lost/web shop/db 80 Deny"},
		},
		{
			name:     "an empty namespaceSelector means all namespaces, but no address outside",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {}}]}]}`},
			flows:    []string{"ops/admin shop/db 80 Allow", "lost/web shop/db 80 Allow", "8.8.8.8 shop/db 80 Deny"},
		},
		{
			name:     "egress peers select the destination",
			policies: []string{`{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: db}}}]}]}`},
			flows:    []string{"shop/web shop/db 80 Allow", "shop/db shop/web 80 Deny", "shop/web 10.2.0.1 80 Allow"},
		},
		{
			name:     "every namespace has its name as a label, with its object missing too",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [ops, lost]}]}}]}]}`},
			flows:    []string{"ops/admin shop/db 80 Allow", "lost/web shop/db 80 Allow", "shop/web shop/db 80 Deny"},
		},
		{
			name:     "a namespace whose object is missing has no other label",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: DoesNotExist}]}}]}]}`},
			flows:    []string{"lost/web shop/db 80 Allow", "ops/admin shop/db 80 Deny"},
		},
	})
}

func TestIPBlock(t *testing.T) {
	runAll(t, []spec{
		{
			name:     "a block allows its addresses except the exceptions",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.64/26, 203.0.113.9/32]}}]}]}`},
			flows: []string{
				"203.0.113.0 shop/db 80 Allow",
				"203.0.113.255 shop/db 80 Allow",
				"203.0.113.64 shop/db 80 Deny",
				"203.0.113.127 shop/db 80 Deny",
				"203.0.113.9 shop/db 80 Deny",
				"203.0.112.255 shop/db 80 Deny",
			},
		},
		{
			name:     "an exception that is written as IPv6 is the IPv4 range that it is",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24, except: ["::ffff:203.0.113.64/122"]}}]}]}`},
			flows:    []string{"203.0.113.0 shop/db 80 Allow", "203.0.113.64 shop/db 80 Deny", "203.0.113.127 shop/db 80 Deny"},
		},
		{
			name:     "and so is a block",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: "::ffff:cb00:7100/120", except: [203.0.113.64/26]}}]}]}`},
			flows:    []string{"203.0.113.0 shop/db 80 Allow", "203.0.113.64 shop/db 80 Deny", "203.0.112.0 shop/db 80 Deny"},
		},
		{
			name:     "which less than the whole of the IPv4 addresses is not",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: "::ffff:203.0.113.0/95"}}]}]}`},
			flows:    []string{"203.0.113.0 shop/db 80 Deny"},
		},
		{
			name:     "what one peer excepts, another may allow",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 8.0.0.0/8, except: [8.8.0.0/16]}}, {ipBlock: {cidr: 8.8.8.8/32}}]}]}`},
			flows:    []string{"8.8.8.8 shop/db 80 Allow", "8.8.4.4 shop/db 80 Deny"},
		},
		{
			name:     "a block is of one family",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}`},
			flows:    []string{"8.8.8.8 shop/db 80 Allow", "2001:db8::1 shop/db 80 Deny", "::ffff:8.8.8.8 shop/db 80 Allow"},
		},
		{
			name:     "blocks of IPv6 work alike",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: "2001:db8::/32", except: ["2001:db8:1::/48"]}}]}]}`},
			flows:    []string{"shop/db 2001:db8::1 80 Allow", "shop/db 2001:db8:1::1 80 Deny", "shop/db 2001:db8::1%eth0 80 Allow", "shop/db 8.8.8.8 80 Deny"},
		},
		{
			name:     "host bits of a block do not matter",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 203.0.113.7/24}}]}]}`},
			flows:    []string{"203.0.113.1 shop/db 80 Allow"},
		},
		{
			name:     "a block matches pods by the address that the flow uses",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 10.1.0.0/16}}]}]}`},
			flows: []string{
				"shop/web shop/db 80 Allow",
				"10.1.0.1 shop/db 80 Allow",
				"shop/web@fd00:1::1 shop/db 80 Deny",
				"shop/web shop/db@fd00:2::1 80 Deny",
				"ops/web shop/db 80 Deny",
			},
		},
		{
			name:     "a block matches a pod on its node's network by the node's address",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 192.168.0.1/32}}]}]}`},
			flows:    []string{"shop/agent shop/db 80 Allow", "shop/agent-starting shop/db 80 Allow", "192.168.0.1 shop/db 80 Allow"},
		},
		{
			name:     "all ranges of IPv4 let no pod's selector through",
			policies: []string{`{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]}]}`},
			flows:    []string{"shop/web shop/db 80 Deny", "8.8.8.8 shop/db 80 Allow"},
		},
	})
}
