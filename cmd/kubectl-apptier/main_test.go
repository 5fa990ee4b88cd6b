package main

import (
	"bufio"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// A second signal ends the plugin, whatever it waits for: here it waits for standard input.
func TestASecondSignalEndsIt(t *testing.T) {
	if len(os.Args) > 1 && os.Getenv("RUN_AS_PLUGIN") != "" {
		os.Args = []string{"kubectl-apptier", "lint", "-f", "-"}
		os.Stderr.WriteString("begun\n")
		os.Exit(run())
	}
	plugin := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	plugin.Env = append(os.Environ(), "RUN_AS_PLUGIN=1")
	open, err := plugin.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	said, err := plugin.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := plugin.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(said).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = plugin.Wait() // a signal ends it
		close(ended)
	}()
	for range 100 {
		select {
		case <-ended:
			return
		case <-time.After(100 * time.Millisecond):
			_ = plugin.Process.Signal(syscall.SIGTERM)
		}
	}
	t.Error("it goes on after many signals")
	_ = plugin.Process.Kill()
}
