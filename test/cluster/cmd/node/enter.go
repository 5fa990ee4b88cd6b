package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// namespaces are those that a node has of its own.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWUTS

// enter runs a program in the namespaces of a process. A process namespace holds for children only, so
// the program is a child, and it is ended when this one is asked to end. (A death signal would be simpler,
// but Go makes the child kill itself when it cannot see its parent, and here it cannot.)
func enter(pidArg string, argv []string) error {
	pid, err := strconv.Atoi(pidArg)
	if err != nil {
		return fmt.Errorf("a process id, not %q", pidArg)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("the node's init, process %d, is gone: %w", pid, err)
	}
	// Never unlocked: the thread has changed for good.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("take a working directory of our own: %w", err)
	}
	if err := unix.Setns(fd, namespaces); err != nil {
		return fmt.Errorf("enter the namespaces of process %d: %w", pid, err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		for range signals {
			_ = cmd.Process.Kill()
		}
	}()
	return cmd.Wait()
}
