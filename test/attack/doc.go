// Package attack tries to get packets past the enforcer's rules, on a real kernel.
//
// An attack is one test in a file of its own, which describes it as a value and runs it:
//
//	func TestBroadcast(t *testing.T) {
//		run(t, attack{
//			name:    "UDP to 255.255.255.255",
//			by:      withoutCapabilities,
//			wirings: []lab.Wiring{lab.Bridged},
//			family:  only4,
//			try: func(s *scene) bool {
//				heard := s.listen(s.victim, "udp4", ":9999")
//				s.attack(func() error { return broadcast(9999) })
//				return heard()
//			},
//		})
//	}
//
// In every wiring and family that it names, a lab is built (package lab), and then
//
//   - given happens, where the attack needs something to be there before the policies are: a connection that
//     they cut, for example;
//   - for each of its sets of policies, the rules are loaded, the attack must not get through, and what is
//     allowed beside it must still pass;
//   - the rules are taken away, and the very same attack must get through, so that the test can tell.
//
// Where it matters how the rules came to be, an attack has an agent keep them (scene.runAgent) or loads them
// within other budgets. What no rules can judge gets through with them as well: then the node must not be ready,
// and the table says so.
//
// Without policies of its own, an attack is up against three sets: the victim is isolated, the attacker is,
// and both are, each time but for TCP port 80. That this connection works is what passes beside it, unless the
// attack says something else.
//
// The attacker's code, and nothing else, belongs within scene.attack: it runs in the attacker's network
// namespace on a thread that has only the capabilities of its class. It must start no goroutines, since they
// run on other threads. What the victim does, and what a test arranges, belongs outside of it.
//
// make attack prints a table of all attacks.
package attack
