// Command demo shows apptier at work on a cluster, with real packets, and checks every one of them against the
// prediction. It makes the embedded cluster, which needs root, and "make demo-down" removes every trace; or uses
// one that is there already.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/apptier/apptier/test/cluster"
)

// name is the name of the demo's cluster.
const name = "demo"

var errDiffers = errors.New("what was measured differs from what was predicted")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctrllog.SetLogger(logr.Discard()) // the story is told here, and errors come back
	kubeconfig := flag.String("kubeconfig", "", "file of a cluster to use that has the images; a new one is made otherwise")
	flag.Parse()
	started := time.Now()
	if err := run(ctx, *kubeconfig); err != nil {
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		fmt.Fprintln(os.Stderr, "The cluster, if it is up, is left for a look; make demo-down removes it.")
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
	fmt.Printf("\nDone in %s.\n", time.Since(started).Round(time.Second))
}

func run(ctx context.Context, kubeconfig string) error {
	story := story{started: time.Now(), kubeconfig: kubeconfig}
	begin, then := []chapter{story.build, story.boot}, next
	if kubeconfig != "" {
		begin, then = []chapter{story.join}, nextElsewhere
	} else if err := cluster.Down(ctx, name); err != nil && !errors.Is(err, cluster.ErrNotFound) {
		return err
	}
	for _, tell := range append(begin, story.install, story.deploy, story.before, story.audit, story.declare, story.apply, story.after,
		story.denial, story.reject) {
		if err := tell(ctx); err != nil {
			return err
		}
	}
	fmt.Print(strings.ReplaceAll(then, "KUBECONFIG_PATH", story.kubeconfig))
	return nil
}

// chapter is a part of the story.
type chapter func(context.Context) error

// nextElsewhere is for a cluster that stays.
const nextElsewhere = `
To try next, and to remove what the demo has left:

  export KUBECONFIG=KUBECONFIG_PATH
  kubectl get apptiers -A
  kubectl delete networkpolicy -n shop shop.tier.database  # refused: it is the AppTier's

  make undeploy
  kubectl delete namespace shop elsewhere
`

const next = `
The cluster stays up. To try next:

  export KUBECONFIG=KUBECONFIG_PATH
  go -C test run ./cluster/cmd/cluster --name demo kubectl get pods -A  # if you have no kubectl

  kubectl get apptiers -A
  kubectl get networkpolicy -n shop
  kubectl delete networkpolicy -n shop shop.tier.database  # refused: it is the AppTier's
  kubectl edit apptier -n shop shop
  go -C test run ./cluster/cmd/cluster exec --name demo elsewhere/visitor -- /agnhost connect --timeout=1s IP:PORT

  make demo-down                                           # removes every trace
`
