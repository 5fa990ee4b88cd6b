// Command conformance runs Kubernetes' own end-to-end tests of NetworkPolicy against the enforcer, on the
// embedded cluster, and prints how each of them ended. It needs root, and fails when one of them does; or,
// without the enforcer, when one of them does not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/apptier/apptier/test/cluster"
	"github.com/apptier/apptier/test/cluster/build"
	"github.com/apptier/apptier/test/scenario"
)

// name is the name of the cluster that is made for the tests.
const name = "conformance"

// options are what the command line says.
type options struct {
	shape cluster.Shape
	suite suite
	// without has no enforcer, and wants the tests to notice.
	without bool
	keep    bool
}

const (
	// allTests are those of NetworkPolicy.
	allTests = "Netpol"
	// denyTests are those that deny, and so cannot pass where nothing is denied; some others can.
	denyTests = "Netpol.*(default-deny|should deny)"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctrllog.SetLogger(logr.Discard())
	if err := run(ctx, parse()); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func parse() options {
	var o options
	flag.IntVar(&o.shape.Nodes, "nodes", 2, "How many nodes run pods.")
	flag.StringVar((*string)(&o.shape.Proxy), "proxy-mode", string(cluster.ProxyNFTables), "kube-proxy's mode: nftables or iptables.")
	flag.StringVar((*string)(&o.shape.CNI), "cni", string(cluster.CNIPtp), "How pods are connected: ptp or bridge.")
	flag.StringVar((*string)(&o.shape.IPFamily), "ip-family", string(cluster.IPv4), "The cluster's addresses: ipv4, ipv6 or dual.")
	flag.StringVar(&o.suite.focus, "focus", "", "Run the tests whose names match this regular expression; by default "+allTests+", or "+denyTests+" --without-enforcer.")
	flag.BoolVar(&o.without, "without-enforcer", false, "Install nothing, and succeed if every test finds wrong connections: the tests themselves are tested.")
	// They mostly wait: for pods to start, and for packets that must not come.
	flag.IntVar(&o.suite.procs, "procs", 3*runtime.NumCPU(), "How many tests run at a time.")
	flag.BoolVar(&o.keep, "keep", false, "Leave the cluster up, for a look.")
	flag.Parse()
	if o.suite.focus == "" {
		o.suite.focus = allTests
		if o.without {
			o.suite.focus = denyTests
		}
	}
	return o
}

func run(ctx context.Context, o options) (err error) {
	tests, err := build.Conformance(ctx, os.Stderr)
	if err != nil {
		return err
	}
	var images []string
	if !o.without {
		if images, err = scenario.Images(ctx); err != nil {
			return err
		}
	}
	// What an earlier run left would be another shape's, or have another enforcer.
	if err := cluster.Down(ctx, name); err != nil {
		return err
	}
	c, err := cluster.Up(ctx, cluster.Options{Name: name, Shape: o.shape, Keep: o.keep, Progress: os.Stderr})
	if err != nil {
		return err
	}
	defer func() {
		if !o.keep {
			err = errors.Join(err, c.Down(context.WithoutCancel(ctx)))
		}
	}()
	judge, enforcing := verdict, "apptier"
	if o.without {
		judge, enforcing = noticed, "nobody"
	} else if err := scenario.Install(ctx, c, images); err != nil {
		return fmt.Errorf("install apptier: %w", err)
	}
	began := time.Now()
	specs, runErr := o.suite.run(ctx, c, tests)
	fmt.Println(tableOf(specs))
	fmt.Printf("%s in %s: Kubernetes %s, %s, enforced by %s\n",
		summary(specs), time.Since(began).Round(time.Second), c.Version(), describe(c.Shape()), enforcing)
	return errors.Join(runErr, judge(specs))
}

func describe(s cluster.Shape) string {
	return fmt.Sprintf("%d nodes, %s, CNI %s, kube-proxy %s", s.Nodes, s.IPFamily, s.CNI, s.Proxy)
}
