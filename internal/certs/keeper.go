package certs

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Keeper rotates the certificate of one replica. All replicas have the same one, without a leader: a write
// is refused if another replica has written since, and the replica then decides again.
type Keeper struct {
	options Options
	now     func() time.Time

	reader client.Reader // past any cache
	writer client.Client
	since  map[string]time.Time // see view
	served atomic.Pointer[tls.Certificate]
	ready  chan struct{}
}

// New returns a keeper that does nothing before SetupWithManager.
func New(options Options, now func() time.Time) *Keeper {
	return &Keeper{options: options, now: now, ready: make(chan struct{})}
}

var errNone = errors.New("there is no certificate yet")

// GetCertificate is for the tls.Config of a server.
func (k *Keeper) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if served := k.served.Load(); served != nil {
		return served, nil
	}
	return nil, errNone
}

// Ready is closed once there is a certificate that the API server trusts.
func (k *Keeper) Ready() <-chan struct{} { return k.ready }

// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations,resourceNames=apptier-validating-webhook-configuration,verbs=get;list;watch;patch

// SetupWithManager makes the manager rotate the certificate, whether it is the leader or not.
func (k *Keeper) SetupWithManager(mgr ctrl.Manager) error {
	// By their names, which is all that the manager's role allows.
	named := func(name string) fields.Selector { return fields.OneTermEqualSelector("metadata.name", name) }
	watched, err := cluster.New(mgr.GetConfig(), func(o *cluster.Options) {
		o.Scheme = mgr.GetScheme()
		o.Cache.ByObject = map[client.Object]cache.ByObject{
			&corev1.Secret{}: {Field: named(k.options.Secret.Name), Namespaces: map[string]cache.Config{k.options.Secret.Namespace: {}}},
			&admissionv1.ValidatingWebhookConfiguration{}: {Field: named(k.options.WebhookConfiguration)},
		}
	})
	if err != nil {
		return fmt.Errorf("setting up what the webhook's certificate is kept in: %w", err)
	}
	if err := mgr.Add(watched); err != nil {
		return fmt.Errorf("setting up the watches of the webhook's certificate: %w", err)
	}
	k.reader, k.writer = watched.GetAPIReader(), watched.GetClient()
	err = ctrl.NewControllerManagedBy(mgr).Named("webhook-certificate").
		WithOptions(controller.Options{NeedLeaderElection: ptr.To(false), MaxConcurrentReconciles: 1}).
		WatchesRawSource(source.Kind(watched.GetCache(), &corev1.Secret{}, toOne[*corev1.Secret]())).
		WatchesRawSource(source.Kind(watched.GetCache(), &admissionv1.ValidatingWebhookConfiguration{},
			toOne[*admissionv1.ValidatingWebhookConfiguration]())).
		Complete(k)
	if err != nil {
		return fmt.Errorf("setting up the keeper of the webhook's certificate: %w", err)
	}
	return nil
}

// toOne maps every change to the one thing there is to reconcile.
func toOne[T client.Object]() handler.TypedEventHandler[T, reconcile.Request] {
	return handler.TypedEnqueueRequestsFromMapFunc(func(context.Context, T) []reconcile.Request { return []reconcile.Request{{}} })
}

// Reconcile takes one step of the rotation. A write triggers the next through the watches.
func (k *Keeper) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	var configuration admissionv1.ValidatingWebhookConfiguration
	if err := k.reader.Get(ctx, client.ObjectKey{Name: k.options.WebhookConfiguration}, &configuration); err != nil {
		return reconcile.Result{}, fmt.Errorf("reading the webhook configuration: %w", err)
	}
	var secret corev1.Secret // after the configuration, see view
	if err := k.reader.Get(ctx, k.options.Secret, &secret); err != nil {
		return reconcile.Result{}, fmt.Errorf("reading the webhook's certificate: %w", err)
	}
	v := view{now: k.now(), names: k.options.dnsNames(), secret: secret.Data, since: k.since, served: k.served.Load()}
	for _, webhook := range configuration.Webhooks {
		v.bundles = append(v.bundles, webhook.ClientConfig.CABundle)
	}
	v.since = observe(v)
	k.since = v.since
	next, err := next(v)
	if err != nil {
		return reconcile.Result{}, err
	}
	k.serve(ctx, v, next.serve)
	err = k.write(ctx, &secret, &configuration, next)
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: time.Millisecond}, nil // another replica was faster
	}
	return reconcile.Result{RequeueAfter: next.again}, err
}

func (k *Keeper) serve(ctx context.Context, v view, certificate *tls.Certificate) {
	if certificate == nil {
		return
	}
	if v.served == nil || !v.served.Leaf.Equal(certificate.Leaf) {
		ctrl.LoggerFrom(ctx).Info("serving a certificate", "authority", certificate.Leaf.Issuer.CommonName, "until", certificate.Leaf.NotAfter)
	}
	k.served.Store(certificate)
	if v.served == nil {
		close(k.ready)
	}
}

func (k *Keeper) write(ctx context.Context, secret *corev1.Secret, configuration *admissionv1.ValidatingWebhookConfiguration,
	next step) error {
	switch {
	case next.secret != nil:
		secret.Data = next.secret
		if err := k.writer.Update(ctx, secret); err != nil {
			return fmt.Errorf("writing the webhook's certificate: %w", err)
		}
	case next.bundle != nil:
		patch, err := announcement(configuration, next.bundle)
		if err != nil {
			return err
		}
		if err := k.writer.Patch(ctx, configuration, client.RawPatch(types.JSONPatchType, patch)); err != nil {
			return fmt.Errorf("announcing the authorities of the webhook's certificate: %w", err)
		}
	}
	return nil
}

// announcement is a JSON patch, so that no field is lost that this program does not know. The API server
// refuses it as a conflict if the configuration is not at this resource version any more.
func announcement(configuration *admissionv1.ValidatingWebhookConfiguration, bundle []byte) ([]byte, error) {
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	operations := []operation{{"replace", "/metadata/resourceVersion", configuration.ResourceVersion}}
	for i := range configuration.Webhooks {
		operations = append(operations, operation{"add", "/webhooks/" + strconv.Itoa(i) + "/clientConfig/caBundle", bundle})
	}
	patch, err := json.Marshal(operations)
	if err != nil {
		return nil, fmt.Errorf("announcing the authorities of the webhook's certificate: %w", err)
	}
	return patch, nil
}
