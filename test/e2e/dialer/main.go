// Command dialer is a pod that connects with its first instruction: to a place that its policies allow, and
// to one that they forbid, at once. What came of it is the pod's termination message.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// patience outlives two repetitions of a lost SYN, which come after one and three seconds.
const patience = 5 * time.Second

// Outcome is what came of one connection.
type Outcome struct {
	Connected bool          `json:"connected"`
	Took      time.Duration `json:"took"`
	// Repeated is how many packets TCP sent more than once, the first one included.
	Repeated uint32 `json:"repeated"`
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: dialer HOST:PORT...")
		os.Exit(2)
	}
	outcomes := make([]Outcome, len(os.Args)-1)
	var group sync.WaitGroup
	for i, address := range os.Args[1:] {
		group.Go(func() { outcomes[i] = dial(address) })
	}
	group.Wait()
	message, err := json.Marshal(outcomes)
	if err == nil {
		err = os.WriteFile("/dev/termination-log", message, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dialer:", err)
		os.Exit(1)
	}
}

// dial sends a datagram, which nobody repeats, and connects.
func dial(address string) Outcome {
	began := time.Now()
	if datagrams, err := net.Dial("udp", address); err == nil {
		_, _ = datagrams.Write([]byte("first")) // whether it arrives, the other side counts
		_ = datagrams.Close()
	}
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return Outcome{Took: time.Since(began)}
	}
	defer conn.Close()
	return Outcome{Connected: true, Took: time.Since(began), Repeated: repeated(conn)}
}

func repeated(conn net.Conn) uint32 {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0
	}
	var count uint32
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			count = info.Total_retrans
		}
	})
	return count
}
