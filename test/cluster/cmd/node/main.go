// Command node is what runs inside a node of the embedded cluster:
//
//	node init STATE BIN HOSTNAME   the node's PID 1: sets up its mounts, starts and reaps its processes
//	node enter PID PROGRAM...      runs a program in the namespaces of the node whose PID 1 is PID
//	node pause                     waits for a signal; the pause image of pods
//
// It depends on the standard library and x/sys alone, so that building it takes a second.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		// The program's own exit status is its caller's to judge.
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Exited() {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(125)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 4 && args[0] == "init":
		return runInit(args[1], args[2], args[3])
	case len(args) >= 3 && args[0] == "enter":
		return enter(args[1], args[2:])
	case len(args) == 1 && args[0] == "pause":
		pause()
		return nil
	}
	return errors.New("usage: node init STATE BIN HOSTNAME | node enter PID PROGRAM... | node pause")
}

// pause holds a pod's namespaces open. It reaps too, for pods that share their process namespace.
func pause() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}
