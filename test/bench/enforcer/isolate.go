package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/internal/testenv/network"
)

// workspaceEnv tells the bench that it is the one inside, and where its programs are.
const workspaceEnv = "APPTIER_BENCH_WORKSPACE"

// isolate runs the bench once more in namespaces of its own: of networks, processes and mounts. When
// that ends, however it does, the kernel ends all processes that it started and removes their
// networks and files.
func isolate(ctx context.Context, workspace string) error {
	runtime.LockOSThread() // Pdeathsig is about the thread that started the process: prctl(2)
	defer runtime.UnlockOSThread()
	inside := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	inside.Env = append(os.Environ(), workspaceEnv+"="+workspace)
	inside.Stdin, inside.Stdout, inside.Stderr = os.Stdin, os.Stdout, os.Stderr
	inside.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWNS,
		Pdeathsig:  unix.SIGKILL,
	}
	inside.Cancel = func() error { return inside.Process.Signal(syscall.SIGTERM) }
	inside.WaitDelay = time.Minute
	return inside.Run()
}

// settle makes the new namespaces usable: with a /proc of their own, temporary files in memory, which
// vanish with the mount, and the network that control planes and nodes meet on.
func settle(workspace string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keeping mounts to ourselves: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	temporary := filepath.Join(workspace, "tmp")
	if err := os.Mkdir(temporary, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", temporary, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mounting a folder in memory: %w", err)
	}
	if err := os.Setenv("TMPDIR", temporary); err != nil {
		return err
	}
	if err := network.SetUp("lo"); err != nil {
		return err
	}
	if err := network.AddBridge(controlBridge); err != nil {
		return fmt.Errorf("making the network of the control planes: %w", err)
	}
	return network.Configure(controlBridge, controlAddress)
}
