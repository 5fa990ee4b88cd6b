package probe

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

// terminationLog is where the kubelet takes the message of a container from.
const terminationLog = "/dev/termination-log"

// Order is what a probe is asked for.
type Order struct {
	Targets []Target
	// Timeout is how long a connection is waited for.
	Timeout time.Duration
	// After is how long the probe waits first: the nodes must have heard of a new pod.
	After time.Duration
}

// Args are the arguments of a program of ours that is to do it.
func (o Order) Args() []string {
	args := []string{Command, "--" + flagTimeout + "=" + o.Timeout.String()}
	if o.After > 0 {
		args = append(args, "--"+flagAfter+"="+o.After.String())
	}
	for _, target := range o.Targets {
		args = append(args, target.String())
	}
	return args
}

// ParseArgs reads such arguments, without the subcommand.
func ParseArgs(args []string) (Order, error) {
	var o Order
	flags := flag.NewFlagSet(Command, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // what is wrong is in the error
	flags.DurationVar(&o.Timeout, flagTimeout, 3*time.Second, "How long a connection is waited for.")
	flags.DurationVar(&o.After, flagAfter, 0, "How long to wait first.")
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("reading the flags of %s: %w", Command, err)
	}
	if flags.NArg() == 0 || flags.NArg() > MostTargets {
		return o, fmt.Errorf("%d targets: give from 1 to %d, as in tcp/10.0.0.1:80", flags.NArg(), MostTargets)
	}
	if o.Timeout <= 0 {
		return o, fmt.Errorf("the timeout %s is none: give one such as 3s", o.Timeout)
	}
	var problems []error
	for _, text := range flags.Args() {
		target, err := ParseTarget(text)
		o.Targets, problems = append(o.Targets, target), append(problems, err)
	}
	return o, errors.Join(problems...)
}

// Main is the subcommand: it tries what its arguments say, and leaves the message for the kubelet, or for whoever runs it
// by hand.
func Main(ctx context.Context, args []string, out io.Writer) error {
	return run(ctx, args, out, terminationLog)
}

func run(ctx context.Context, args []string, out io.Writer, log string) error {
	order, err := ParseArgs(args)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(order.After):
	}
	message := Message(Try(ctx, order.Targets, order.Timeout))
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("trying connections: %w", err)
	}
	fmt.Fprintln(out, message)
	switch _, err := os.Stat(log); {
	case errors.Is(err, os.ErrNotExist):
		return nil // by hand, outside of a pod
	case err != nil:
		return fmt.Errorf("leaving the outcomes for the kubelet: %w", err)
	}
	if err := os.WriteFile(log, []byte(message), 0o600); err != nil {
		return fmt.Errorf("leaving the outcomes for the kubelet: %w", err)
	}
	return nil
}
