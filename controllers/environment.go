package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/apptier/apptier/policy/expand"
)

// environment asks the cluster for what AppTiers depend on beside their specs.
func (r *AppTierReconciler) environment(ctx context.Context) (expand.Environment, error) {
	env := expand.DefaultEnvironment()
	env.ClusterNetworks = r.ClusterNetworks
	var service corev1.Service
	err := r.Client.Get(ctx, r.DNSService, &service)
	switch {
	case apierrors.IsNotFound(err): // the defaults hold, and it is watched for
		return env, nil
	case err != nil:
		return env, fmt.Errorf("reading the DNS Service %s: %w", r.DNSService, err)
	}
	env.DNS = expand.DNSOfService(&service, nil)
	return env, nil
}
