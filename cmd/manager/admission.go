package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/webhooks/probe"
)

// tryAdmission fails unless the API server has the webhook judge AppTiers within some time: after an installation a
// manager must be ready first, and every API server know of it.
func tryAdmission(ctx context.Context, o options) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w (set KUBECONFIG, or run in a pod)", err)
	}
	c, err := client.New(config, client.Options{Scheme: schemeOf()})
	if err != nil {
		return fmt.Errorf("connecting to the cluster: %w", err)
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, time.Second, o.tryAdmission, true, func(ctx context.Context) (asked bool, _ error) {
		asked, last = probe.Asked(ctx, c, o.namespace)
		return asked, nil
	})
	if last != nil {
		return last
	}
	if err != nil {
		return fmt.Errorf("the API server takes an AppTier that is to be refused, so AppTiers pass unjudged: " +
			"see whether the manager's pods are ready, and whether the API server can reach them")
	}
	fmt.Println("The API server asks the webhook about AppTiers.")
	return nil
}
