package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/bench/process"
)

// agent is the enforcer as a process of its own on a lab's node.
type agent struct {
	program    string
	lab        *lab
	kubeconfig string
	log        string // a file
	flags      []string

	command *exec.Cmd
	started time.Time
	ended   chan error
}

const (
	metricsPort = 9808
	healthPort  = 9809
)

// start starts the program with its own defaults, but that its metrics and health can be asked for
// from outside of its node.
func (a *agent) start() error {
	log, err := os.OpenFile(a.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has it as well
	a.command = exec.Command(a.program, append([]string{
		"run", "--node-name=" + nodeName, "--kubeconfig=" + a.kubeconfig, a.runDirectory(),
		"--namespace-budget=peers=3000", // there are 1,000 policies on one pod, and a few besides
		fmt.Sprintf("--metrics-bind-address=%s:%d", a.lab.control, metricsPort),
		fmt.Sprintf("--health-probe-bind-address=%s:%d", a.lab.control, healthPort),
	}, a.flags...)...)
	a.command.Stdout, a.command.Stderr = log, log
	a.ended = make(chan error, 1)
	a.started = time.Now()
	if err := network.In(a.lab.node, a.command.Start); err != nil {
		return fmt.Errorf("starting the enforcer: %w", err)
	}
	go func() { a.ended <- a.command.Wait() }()
	return nil
}

// stop ends the process; its rules stay.
func (a *agent) stop() error {
	if err := a.command.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("the enforcer ended by itself: %w", errors.Join(err, a.complaint()))
	}
	if err := <-a.ended; err != nil {
		return errors.Join(fmt.Errorf("the enforcer failed: %w", err), a.complaint())
	}
	return nil
}

// runDirectory is a flag that keeps the program from leaving anything on this machine.
func (a *agent) runDirectory() string { return "--run-dir=" + a.log + ".run" }

// cleanUp removes the rules.
func (a *agent) cleanUp(ctx context.Context) error {
	command := exec.CommandContext(ctx, a.program, "cleanup", a.runDirectory())
	out, err := []byte(nil), error(nil)
	if err := network.In(a.lab.node, func() error {
		out, err = command.CombinedOutput()
		return err
	}); err != nil {
		return fmt.Errorf("removing the rules: %w\n%s", err, out)
	}
	return nil
}

// complaint is the end of the log.
func (a *agent) complaint() error {
	text, err := os.ReadFile(a.log)
	if err != nil {
		return err
	}
	const most = 2000
	return fmt.Errorf("%s: ...%s", filepath.Base(a.log), text[max(0, len(text)-most):])
}

// ready waits until the rules are in the kernel, as the agent says, and returns when that was.
func (a *agent) ready(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for {
		if _, err := a.ask(ctx, healthPort, "/readyz"); err == nil {
			return time.Now(), nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, errors.Join(fmt.Errorf("waiting for the enforcer: %w", context.Cause(ctx)), a.complaint())
		case err := <-a.ended:
			return time.Time{}, errors.Join(fmt.Errorf("the enforcer ended: %w", err), a.complaint())
		case <-ticker.C:
		}
	}
}

// ask returns what a server of the agent answers.
func (a *agent) ask(ctx context.Context, port int, path string) (io.Reader, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:%d%s", a.lab.control, port, path), nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, response.Status)
	}
	text, err := io.ReadAll(response.Body)
	return bytes.NewReader(text), err
}

// usage is what the agent has used and done since it started.
type usage struct {
	cpu        time.Duration
	syncs      float64 // how many
	syncTime   time.Duration
	peak, held float64 // MiB
	denied     float64 // packets, by the node's rules
}

func (a *agent) usage(ctx context.Context) (u usage, err error) {
	pid := a.command.Process.Pid
	var errs [4]error
	u.cpu, errs[0] = process.CPU(pid)
	u.peak, errs[1] = process.Mebibytes(pid, "VmHWM")
	u.held, errs[2] = process.Mebibytes(pid, "VmRSS")
	text, err := a.ask(ctx, metricsPort, "/metrics")
	if err != nil {
		return u, err
	}
	metrics, err := process.ParseMetrics(text)
	errs[3] = err
	u.syncs = metrics["apptier_enforcer_sync_duration_seconds_count"]
	u.syncTime = time.Duration(metrics["apptier_enforcer_sync_duration_seconds_sum"] * float64(time.Second))
	u.denied = metrics.Sum("apptier_enforcer_denied_packets_total")
	return u, errors.Join(errs[:]...)
}
