package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/test/cluster/internal/control"
)

// forwardTo is where the control plane's node sends what comes in on the listener it was born with.
const forwardTo = "127.0.0.1:6443"

// runInit is the node's first process. When it dies the kernel ends every other process of the node and
// drops the node's mounts, which is what makes taking a cluster down complete.
func runInit(state, bin, hostname string) error {
	if os.Getpid() != 1 {
		return fmt.Errorf("must be the first process of a process namespace; it is process %d", os.Getpid())
	}
	if err := setUpMounts(state, bin); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	if err := forward(); err != nil {
		return err
	}
	s := newSupervisor()
	go s.reap()
	// Listening is the sign that the node is ready, so it comes last.
	listener, err := net.Listen("unix", filepath.Join(stateMount, control.Socket))
	if err != nil {
		return fmt.Errorf("listen for requests: %w", err)
	}
	go serve(listener, s)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	<-signals
	return nil
}

func serve(listener net.Listener, s *supervisor) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			var request control.Request
			if err := json.NewDecoder(conn).Decode(&request); err != nil {
				return
			}
			response := control.Response{}
			if err := s.handle(request); err != nil {
				response.Error = err.Error()
			}
			response.Processes = s.list()
			_ = json.NewEncoder(conn).Encode(response)
		}()
	}
}

// forward carries connections from a listener that was opened outside the node, so that a plain shell on
// the machine reaches the API server, while nothing is added to the machine's network.
func forward() error {
	if os.Getenv("NODE_FORWARD") == "" {
		return nil
	}
	file := os.NewFile(3, "listener")
	listener, err := net.FileListener(file)
	if err != nil {
		return fmt.Errorf("take over the listener: %w", err)
	}
	_ = file.Close()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go pipe(client.(*net.TCPConn))
		}
	}()
	return nil
}

func pipe(client *net.TCPConn) {
	defer client.Close()
	conn, err := net.Dial("tcp", forwardTo)
	if err != nil {
		return
	}
	server := conn.(*net.TCPConn)
	defer server.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(server, client)
		_ = server.CloseWrite()
	}()
	_, _ = io.Copy(client, server)
	_ = client.CloseWrite()
	<-done
}
