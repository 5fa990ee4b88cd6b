// Package cases holds the plugin to answers that people depend on: what they ask of their manifests, and
// what is right. Each file of testdata is one case, as testscript reads it
// (https://pkg.go.dev/github.com/rogpeppe/go-internal/testscript): what is typed, what must hold of
// what is printed, and the manifests.
package cases

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli"
	"github.com/apptier/apptier/internal/cli/exit"
)

// TestMain lets scripts run the plugin, as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kubectl-apptier": func() {
		streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
		err := cli.NewCommand(streams).ExecuteContext(context.Background())
		exit.Report(os.Stderr, err)
		os.Exit(exit.Code(err))
	}})
}

func TestCases(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		ContinueOnError:     true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits runs the plugin and asks for an exit code, as in "exits 1 lint -f input.yaml": that a command
// does not succeed is not enough to know that it gave an answer.
func exits(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 2 {
		ts.Fatalf("usage: exits CODE ARGUMENT...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec("kubectl-apptier", args[1:]...)
	code := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if code != want {
		ts.Fatalf("exits with %d, want %d", code, want)
	}
}
