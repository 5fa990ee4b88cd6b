package attack

import (
	"net"
	"testing"
)

// The plainest of all: a port that no policy opens.
func TestConnect(t *testing.T) {
	run(t, attack{
		name: "TCP to a port that is not allowed",
		by:   withoutCapabilities,
		try: func(s *scene) bool {
			address := net.JoinHostPort(s.victim.Address(s.v6).String(), "8080")
			defer s.serve(s.victim, address)()
			return s.steals(address)
		},
	})
}
