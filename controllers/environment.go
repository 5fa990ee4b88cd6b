package controllers

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/intstr"

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
	env.DNS = clusterDNS(&service, env.DNS)
	return env, nil
}

// clusterDNS reads the DNS Service. What the Service does not say is as usual.
func clusterDNS(service *corev1.Service, usual expand.ClusterDNS) expand.ClusterDNS {
	dns := expand.ClusterDNS{Namespace: service.Namespace, PodSelector: service.Spec.Selector}
	for _, port := range service.Spec.Ports {
		if !isDNS(port) {
			continue
		}
		protocol := cmp.Or(port.Protocol, corev1.ProtocolTCP)
		dns.ServicePorts = append(dns.ServicePorts, expand.Port{Protocol: protocol, Start: port.Port})
		target := port.Port
		if port.TargetPort.Type == intstr.Int && port.TargetPort.IntVal != 0 {
			target = port.TargetPort.IntVal
		}
		dns.TargetPorts = append(dns.TargetPorts, expand.Port{Protocol: protocol, Start: target})
	}
	if len(dns.ServicePorts) == 0 {
		dns.ServicePorts, dns.TargetPorts = usual.ServicePorts, usual.TargetPorts
	}
	if len(dns.PodSelector) == 0 {
		dns.PodSelector = usual.PodSelector
	}
	for _, text := range service.Spec.ClusterIPs {
		if address, err := netip.ParseAddr(text); err == nil { // "None" is no address
			dns.Addresses = append(dns.Addresses, address)
		}
	}
	return dns
}

// isDNS tells the ports for DNS from others that DNS Services have, such as one for metrics.
func isDNS(port corev1.ServicePort) bool { return port.Port == 53 }
