package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/test/cluster"
	"github.com/apptier/apptier/test/cluster/build"
)

// suite is which tests to run, and how.
type suite struct {
	focus string
	procs int
}

// sctpFeature marks the tests that send packets over SCTP. Those of policies that only name SCTP are not
// marked, and run everywhere.
const sctpFeature = "Feature:SCTPConnectivity"

// interruptGrace is what the tests get to clean up after themselves when they are interrupted.
const interruptGrace = time.Minute

// run runs the tests on a cluster. There may be both results and an error.
func (s suite) run(ctx context.Context, c *cluster.Cluster, tests string) (specs []spec, err error) {
	if err := knowsImage(ctx, tests); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	skip := ""
	if !hasSCTP() {
		skip = sctpFeature
	}
	args := s.args(filepath.Join(tests, "e2e.test"), c.Kubeconfig(), dir, skip)
	cmd := exec.CommandContext(ctx, filepath.Join(tests, "ginkgo"), args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr // the table alone is the result
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = interruptGrace
	runErr := cmd.Run()
	content, err := os.ReadFile(filepath.Join(dir, reportFile))
	if err != nil {
		return nil, fmt.Errorf("the tests left no report: %w", errors.Join(runErr, err))
	}
	specs, err = parseReport(content, s.focus)
	if err != nil {
		return nil, err
	}
	explainSCTP(specs, skip)
	var exit *exec.ExitError
	if errors.As(runErr, &exit) && failures(specs) > 0 {
		runErr = nil // the specs say it better
	}
	if runErr != nil {
		runErr = fmt.Errorf("run the tests: %w", runErr)
	}
	return specs, runErr
}

const reportFile = "report.json"

// args are ginkgo's, and after the dashes the tests' own.
func (s suite) args(program, kubeconfig, dir, skip string) []string {
	args := []string{
		"--procs=" + strconv.Itoa(s.procs), "--focus=" + s.focus, "--timeout=2h",
		"--succinct", "--silence-skips", "--no-color",
		"--json-report=" + reportFile, "--output-dir=" + dir,
	}
	if skip != "" {
		args = append(args, "--skip="+skip)
	}
	return append(args, program, "--", "--kubeconfig="+kubeconfig, "--provider=local", "--disable-log-dump")
}

// knowsImage makes sure that the one image that the tests want pods of is the one that the nodes have:
// there is no registry, so with another tag each test would wait for minutes, in vain.
func knowsImage(ctx context.Context, tests string) error {
	out, err := exec.CommandContext(ctx, filepath.Join(tests, "e2e.test"), "--list-images").Output()
	if err != nil {
		return fmt.Errorf("ask the tests for their images: %w", err)
	}
	var wanted []string
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, agnhost) {
			wanted = append(wanted, strings.TrimSpace(line))
		}
	}
	if !slices.Contains(wanted, build.AgnhostImage) {
		return fmt.Errorf("the tests want the image %s, the nodes have %s: set build.AgnhostImage", strings.Join(wanted, " or "), build.AgnhostImage)
	}
	return nil
}

const agnhost = "registry.k8s.io/e2e-test-images/agnhost:"

// hasSCTP says whether this machine's kernel, which is that of all nodes, has SCTP sockets.
func hasSCTP() bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP)
	if err != nil {
		return false
	}
	return unix.Close(fd) == nil
}
