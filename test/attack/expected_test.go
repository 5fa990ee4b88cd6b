package attack

import (
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/apptier/apptier/test/lab"
)

// A helper of the kernel reads in one connection what the next one will be, and gives it the first one's mark:
// nf_conntrack_ftp, init_conntrack. Nodes have one where somebody asks for it.
func TestExpectedConnection(t *testing.T) {
	const helper = `table ip helper {
	ct helper ftp { type "ftp" protocol tcp; }
	chain helpers { type filter hook prerouting priority 0; tcp dport 21 ct helper set "ftp"; }
}`
	run(t, attack{
		name: "TCP to a port that was announced by FTP", by: withoutCapabilities, family: only4,
		given: func(s *scene) { s.lab.NFT(s.t, helper) },
		policies: []policies{
			{`{podSelector: {matchLabels: {app: b}}, policyTypes: [Ingress], ingress: [{ports: [{port: 21}, {port: 80}]}]}`},
			{`{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{ports: [{port: 21}, {port: 80}]}]}`},
		},
		try: func(s *scene) bool {
			const data = 8080
			defer s.serve(s.victim, fmt.Sprintf("%s:%d", s.victim.V4, data))()
			defer s.announces(data)()
			return s.steals(fmt.Sprintf("%s:%d", s.victim.V4, data))
		},
	})
}

// announces has the victim tell the attacker by FTP at which of its ports the data is, and keeps that connection
// until stop is called: RFC 959, section 4.1.2.
func (s *scene) announces(port int) (stop func()) {
	s.t.Helper()
	var listener net.Listener
	s.in(s.victim, func() (err error) {
		listener, err = net.Listen("tcp4", s.victim.V4.String()+":21")
		return err
	})
	var ends sync.WaitGroup
	stopped := make(chan struct{})
	ends.Go(func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		a := s.victim.V4.As4()
		_, _ = conn.Write([]byte("220 Ready\r\n"))
		_, _ = conn.Read(make([]byte, 64))
		_, _ = fmt.Fprintf(conn, "227 Entering Passive Mode (%d,%d,%d,%d,%d,%d).\r\n", a[0], a[1], a[2], a[3], port>>8, port&0xff)
		<-stopped
	})
	var client net.Conn
	s.attack(func() (err error) {
		client, err = net.DialTimeout("tcp4", s.victim.V4.String()+":21", soon)
		return err
	})
	answer := make([]byte, 64)
	_, err := client.Read(answer)
	lab.Must(s.t, err)
	_, err = client.Write([]byte("PASV\r\n"))
	lab.Must(s.t, err)
	_, err = client.Read(answer)
	lab.Must(s.t, err)
	return func() {
		close(stopped)
		_ = client.Close()
		_ = listener.Close()
		ends.Wait()
	}
}
