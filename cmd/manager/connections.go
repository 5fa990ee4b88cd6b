package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/controllers/audit"
	"github.com/apptier/apptier/internal/certs"
	"github.com/apptier/apptier/internal/connections/api"
	"github.com/apptier/apptier/internal/connections/nodes"
	"github.com/apptier/apptier/internal/connections/openapi"
)

// Names that config/connections, config/enforcer and config/default give to the objects of the API of connections.
const (
	connectionsSecret     = "apptier-connections-cert"
	connectionsService    = "apptier-connections-service"
	connectionsAPIService = "v1alpha1.connections.apptier.dev"
	connectionsCA         = "apptier-connections-ca"
)

// connectionsSettle is how long the kubelet may take to bring a ConfigMap into a pod, with a margin: it looks each minute, and
// may see what it saw a minute ago
// (https://kubernetes.io/docs/concepts/configuration/configmap/#mounted-configmaps-are-updated-automatically).
const connectionsSettle = 10 * time.Minute

// addConnections serves the API of connections, on every replica. Nothing else of the manager waits for it.
func addConnections(mgr ctrl.Manager, o options) error {
	if o.connectionsPort == 0 {
		return nil
	}
	certificate := certs.New(certs.Options{
		Name:    "connections-certificate",
		Secret:  types.NamespacedName{Namespace: o.namespace, Name: connectionsSecret},
		Service: connectionsService,
		Announced: []certs.Place{
			certs.APIService(connectionsAPIService),
			certs.ConfigMap(types.NamespacedName{Namespace: o.enforcers, Name: connectionsCA}),
		},
		Settle: connectionsSettle, AsClient: true, Optional: true,
	}, time.Now)
	if err := certificate.SetupWithManager(mgr); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(mgr.GetConfig())
	if err != nil {
		return fmt.Errorf("setting up the API of connections: %w", err)
	}
	proxy, err := api.NewProxy(client)
	if err != nil {
		return err
	}
	mayList, err := api.Reviews(client.AuthorizationV1())
	if err != nil {
		return err
	}
	described, err := openapi.New()
	if err != nil {
		return err
	}
	self, err := selfOf(o.node)
	if err != nil {
		return err
	}
	known := nodes.Known{
		Reader: mgr.GetClient(), Self: self,
		Reports: func(ctx context.Context) ([]nodes.Node, error) { return reports(ctx, mgr) },
	}
	asker := &nodes.Asker{Nodes: known.Nodes, Certificate: certificate.GetClientCertificate, Now: time.Now}
	server := &api.Server{
		Address: fmt.Sprintf(":%d", o.connectionsPort), Certificate: certificate.GetCertificate, Ready: certificate.Ready(),
		Handler: api.New(api.Options{
			Lister: asker, Authenticator: proxy, MayList: mayList, OpenAPI: described, Log: ctrl.Log.WithName("connections"),
		}),
		Knows:    proxy.Knows,
		ErrorLog: log.New(io.Discard, "", 0),
	}
	hosting := &nodes.Asker{Nodes: known.Hosting, Certificate: certificate.GetClientCertificate, Now: time.Now}
	told := mgr.GetEventRecorder(v1alpha1.ManagedBy)
	auditor := &audit.Auditor{
		Client: mgr.GetClient(), Nodes: hosting, Events: told, Period: o.auditPeriod, Now: time.Now, Log: ctrl.Log.WithName("audit"),
	}
	teller := &audit.Teller{Client: mgr.GetClient(), Nodes: hosting, Events: told, Now: time.Now, Log: ctrl.Log.WithName("denied")}
	for _, runnable := range []manager.Runnable{proxy, server, auditor, teller} {
		if err := mgr.Add(runnable); err != nil {
			return fmt.Errorf("setting up the API of connections: %w", err)
		}
	}
	return nil
}

// selfOf is where this process runs: on a node, and with addresses of its own.
func selfOf(node string) (nodes.Self, error) {
	self := nodes.Self{Node: node}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return self, fmt.Errorf("finding the manager's own addresses: %w", err)
	}
	for _, of := range addresses {
		if prefix, err := netip.ParsePrefix(of.String()); err == nil {
			self.Addresses = append(self.Addresses, prefix.Addr().Unmap())
		}
	}
	return self, nil
}

// +kubebuilder:rbac:groups=policy.apptier.dev,resources=nodereports,verbs=get;list;watch

// reports are where enforcers say that they answer.
func reports(ctx context.Context, mgr ctrl.Manager) ([]nodes.Node, error) {
	var list v1alpha1.NodeReportList
	if err := mgr.GetClient().List(ctx, &list); err != nil {
		return nil, err
	}
	out := make([]nodes.Node, 0, len(list.Items))
	for _, report := range list.Items {
		if server := report.Status.Server; server != nil {
			out = append(out, nodes.Node{Name: report.Name, Address: server.Address, Fingerprint: server.Fingerprint})
		} else {
			out = append(out, nodes.Node{Name: report.Name})
		}
	}
	return out, nil
}
