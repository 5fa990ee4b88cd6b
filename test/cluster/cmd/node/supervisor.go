package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/test/cluster/internal/control"
)

// supervisor starts a node's processes and reaps every process of the node. Being their parent, it knows
// when a process is over, so a signal never hits a stranger who got the same id.
type supervisor struct {
	mu        sync.Mutex
	processes map[string]*process // by name
}

type process struct {
	spec   control.Spec
	status control.Process
	done   chan struct{} // closed when it has ended
}

func newSupervisor() *supervisor { return &supervisor{processes: map[string]*process{}} }

func (s *supervisor) handle(request control.Request) error {
	switch request.Op {
	case control.Start:
		return s.start(request.Spec)
	case control.Stop:
		return s.stop(request.Spec.Name, request.Grace)
	case control.Signal:
		return s.signal(request.Spec.Name, syscall.Signal(request.Signal))
	case control.List:
		return nil
	}
	return fmt.Errorf("unknown operation %q", request.Op)
}

// start holds the lock from the fork until the process is on record, so that reap finds it even when it
// dies at once.
func (s *supervisor) start(spec control.Spec) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.processes[spec.Name]; ok {
		if old.status.Running {
			return nil
		}
		if len(spec.Argv) == 0 {
			spec = old.spec
		}
	}
	if len(spec.Argv) == 0 {
		return s.unknown(spec.Name)
	}
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", spec.Name, err)
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	pid, err := syscall.ForkExec(spec.Argv[0], spec.Argv, &syscall.ProcAttr{
		Dir:   "/",
		Env:   spec.Env,
		Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", spec.Argv[0], err)
	}
	s.processes[spec.Name] = &process{
		spec:   spec,
		status: control.Process{Name: spec.Name, PID: pid, Running: true, Since: time.Now()},
		done:   make(chan struct{}),
	}
	return nil
}

func (s *supervisor) stop(name string, grace time.Duration) error {
	if err := s.signal(name, syscall.SIGTERM); err != nil {
		return err
	}
	s.mu.Lock()
	done := s.processes[name].done
	s.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-time.After(grace):
	}
	if err := s.signal(name, syscall.SIGKILL); err != nil {
		return err
	}
	<-done
	return nil
}

func (s *supervisor) signal(name string, signal syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.processes[name]
	if !ok {
		return s.unknown(name)
	}
	if !p.status.Running {
		return nil
	}
	if err := syscall.Kill(p.status.PID, signal); err != nil {
		return fmt.Errorf("signal %s: %w", name, err)
	}
	return nil
}

func (s *supervisor) unknown(name string) error {
	names := make([]string, 0, len(s.processes))
	for n := range s.processes {
		names = append(names, n)
	}
	slices.Sort(names)
	return fmt.Errorf("no component %q on this node; there are: %s", name, strings.Join(names, ", "))
}

func (s *supervisor) list() []control.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]control.Process, 0, len(s.processes))
	for _, p := range s.processes {
		list = append(list, p.status)
	}
	slices.SortFunc(list, func(a, b control.Process) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// reap collects every process that ends on the node, its own and the orphans that fell to it.
func (s *supervisor) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil: // no children yet
			<-time.After(20 * time.Millisecond)
			continue
		}
		s.ended(pid, status)
	}
}

func (s *supervisor) ended(pid int, status syscall.WaitStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.processes {
		if p.status.Running && p.status.PID == pid {
			p.status.Running, p.status.PID, p.status.Since = false, 0, time.Now()
			p.status.Exit = describe(status)
			close(p.done)
		}
	}
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "killed by " + unix.SignalName(status.Signal())
	}
	return fmt.Sprintf("exited with status %d", status.ExitStatus())
}
