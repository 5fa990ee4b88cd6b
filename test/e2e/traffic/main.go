// Command traffic sends datagrams for as long as it runs, or counts those that come, so that none is lost or let
// through without being seen. "traffic send" keeps one flow to each target, and begins another one again and
// again, from its own port; "traffic stop" ends the program of the same container, whose termination message
// then has the counts.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	liveEvery = 5 * time.Millisecond
	newEvery  = 25 * time.Millisecond

	greeting = "hello" // is answered, and not counted
	counted  = "count"
)

// Counts are what a program has to tell: datagrams sent, by target; datagrams that came, by source; and those
// that came and found no room in the socket's buffer.
type Counts struct {
	Sent map[string]int `json:"sent,omitempty"`
	Came map[string]int `json:"came,omitempty"`
	Full int            `json:"full,omitempty"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "traffic:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	var counts Counts
	var err error
	switch {
	case len(args) == 1 && args[0] == "stop":
		return syscall.Kill(1, syscall.SIGTERM)
	case len(args) == 2 && args[0] == "listen":
		counts, err = listen(args[1], ended)
	case len(args) > 1 && args[0] == "send":
		counts, err = send(args[1:], ended)
	default:
		return errors.New("usage: traffic listen PORT | send [await=]HOST:PORT... | stop")
	}
	if err != nil {
		return err
	}
	message, err := json.Marshal(counts)
	if err != nil {
		return err
	}
	return os.WriteFile("/dev/termination-log", message, 0o600)
}

// listen counts by source, and answers greetings.
func listen(port string, ended <-chan os.Signal) (Counts, error) {
	counts := Counts{Came: map[string]int{}}
	number, err := strconv.Atoi(port)
	if err != nil {
		return counts, err
	}
	conn, err := net.ListenUDP("udp", &net.UDPAddr{Port: number})
	if err != nil {
		return counts, err
	}
	_ = conn.SetReadBuffer(4 << 20) // as far as the kernel allows
	go func() {
		<-ended
		_ = conn.SetReadDeadline(time.Now()) // whoever sends has ended before, and so the buffer is empty
	}()
	buffer := make([]byte, 64)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			counts.Full, err = full()
			return counts, err
		}
		if err != nil {
			return counts, err
		}
		if string(buffer[:n]) == greeting {
			_, _ = conn.WriteToUDPAddrPort(buffer[:n], from)
			continue
		}
		counts.Came[from.Addr().Unmap().String()]++
	}
}

// full is how many datagrams found no room in a buffer of this network namespace.
func full() (int, error) {
	text, err := os.ReadFile("/proc/net/snmp")
	if err != nil {
		return 0, err
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if fields[0] != "Udp:" {
			continue
		}
		if at := slices.Index(names, "RcvbufErrors"); at > 0 {
			return strconv.Atoi(fields[at])
		}
		names = fields
	}
	return 0, errors.New("/proc/net/snmp has no RcvbufErrors")
}

// send begins once every target that is to be awaited has answered a greeting.
func send(targets []string, ended <-chan os.Signal) (Counts, error) {
	counts := Counts{Sent: map[string]int{}}
	live := map[string]net.Conn{}
	for _, target := range targets {
		target, awaited := strings.CutPrefix(target, "await=")
		if awaited && !greet(target, ended) {
			return counts, nil
		}
		if _, err := netip.ParseAddrPort(target); err != nil {
			return counts, err
		}
		conn, err := net.Dial("udp", target)
		if err != nil {
			return counts, err
		}
		live[target] = conn
	}
	liveTicks, newTicks := time.NewTicker(liveEvery), time.NewTicker(newEvery)
	for {
		select {
		case <-ended:
			return counts, nil
		case <-liveTicks.C:
			for target, conn := range live {
				counts.write(target, conn)
			}
		case <-newTicks.C:
			for target := range live {
				if conn, err := net.Dial("udp", target); err == nil {
					counts.write(target, conn)
					_ = conn.Close()
				}
			}
		}
	}
}

// write counts what the kernel has taken.
func (c Counts) write(target string, conn net.Conn) {
	if _, err := conn.Write([]byte(counted)); err == nil {
		c.Sent[target]++
	}
}

// greet waits for an answer, and says whether there was one before the program is to end.
func greet(target string, ended <-chan os.Signal) bool {
	buffer := make([]byte, 64)
	for {
		select {
		case <-ended:
			return false
		default:
		}
		conn, err := net.Dial("udp", target)
		if err != nil {
			continue
		}
		_, _ = conn.Write([]byte(greeting))
		_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := conn.Read(buffer)
		_ = conn.Close()
		if err == nil && string(buffer[:n]) == greeting {
			return true
		}
	}
}
