package attack

import (
	"net"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// Before Kubernetes 1.36 the API server stored IPv4 ranges that are written as IPv6: KEP-4858.
func TestException(t *testing.T) {
	const (
		exception = `{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: ["::ffff:10.244.0.3/128"]}}]}]}`
		both      = `{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: "::ffff:a00:0/104", except: ["::ffff:af4:2/127"]}},
		             {ipBlock: {cidr: "::ffff:10.244.0.4/128"}}]}]}`
	)
	run(t, attack{
		name: "TCP to what an exception written as IPv6 takes out", by: withoutCapabilities, family: only4,
		policies: []policies{{exception}, {both}},
		try: func(s *scene) bool {
			address := net.JoinHostPort(s.victim.V4.String(), "8080")
			defer s.serve(s.victim, address)()
			return s.steals(address)
		},
		beside: func(s *scene) bool { return s.connects(s.attacker, s.friend, corev1.ProtocolTCP, 80) },
	})
}
