package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

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

// GetClientCertificate is for the tls.Config of a client.
func (k *Keeper) GetClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return k.GetCertificate(nil)
}

// Ready is closed once there is a certificate that those who call trust.
func (k *Keeper) Ready() <-chan struct{} { return k.ready }

// SetupWithManager makes the manager rotate the certificate, whether it is the leader or not.
func (k *Keeper) SetupWithManager(mgr ctrl.Manager) error {
	kept := &corev1.Secret{}
	objects := map[client.Object]cache.ByObject{kept: byName(k.options.Secret)}
	for _, place := range k.options.Announced {
		objects[place.empty()] = byName(place.key)
	}
	watched, err := cluster.New(mgr.GetConfig(), func(o *cluster.Options) {
		o.Scheme = mgr.GetScheme()
		o.Cache.ByObject = objects
	})
	if err != nil {
		return fmt.Errorf("setting up what the %s is kept in: %w", k.options.Name, err)
	}
	if err := mgr.Add(watched); err != nil {
		return fmt.Errorf("setting up the watches of the %s: %w", k.options.Name, err)
	}
	k.reader, k.writer = watched.GetAPIReader(), watched.GetClient()
	options := controller.Options{NeedLeaderElection: ptr.To(false), MaxConcurrentReconciles: 1}
	if k.options.Optional {
		options.CacheSyncTimeout = never
	}
	built := ctrl.NewControllerManagedBy(mgr).Named(k.options.Name).WithOptions(options)
	for object := range objects {
		built.WatchesRawSource(source.Kind(watched.GetCache(), object, toOne()))
	}
	if err := built.Complete(k); err != nil {
		return fmt.Errorf("setting up the keeper of the %s: %w", k.options.Name, err)
	}
	return nil
}

// never is when a manager ends because it may not read what an optional certificate is kept in.
const never = 100 * 365 * 24 * time.Hour

// byName watches one object, which is all that the manager's role allows.
func byName(key types.NamespacedName) cache.ByObject {
	one := cache.ByObject{Field: fields.OneTermEqualSelector("metadata.name", key.Name)}
	if key.Namespace != "" {
		one.Namespaces = map[string]cache.Config{key.Namespace: {}}
	}
	return one
}

// toOne maps every change to the one thing there is to reconcile.
func toOne() handler.TypedEventHandler[client.Object, reconcile.Request] {
	return handler.TypedEnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request { return []reconcile.Request{{}} })
}

// Reconcile takes one step of the rotation. A write triggers the next through the watches.
func (k *Keeper) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	v := view{
		now: k.now(), names: k.options.dnsNames(), since: k.since, served: k.served.Load(),
		settle: k.options.Settle, asClient: k.options.AsClient, adopt: k.options.Adopt,
	}
	found := make([]client.Object, len(k.options.Announced))
	for i, place := range k.options.Announced {
		found[i] = place.empty()
		if err := k.reader.Get(ctx, place.key, found[i]); err != nil {
			return reconcile.Result{}, fmt.Errorf("reading where authorities are announced: %w", err)
		}
		v.bundles = append(v.bundles, place.bundles(found[i])...)
	}
	var secret corev1.Secret // after the places, see view
	if err := k.reader.Get(ctx, k.options.Secret, &secret); err != nil {
		return reconcile.Result{}, fmt.Errorf("reading the %s: %w", k.options.Name, err)
	}
	v.secret = secret.Data
	v.since = observe(v)
	k.since = v.since
	next, err := next(v)
	if err != nil {
		return reconcile.Result{}, err
	}
	k.serve(ctx, v, next.serve)
	err = k.write(ctx, &secret, found, next)
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
		ctrl.LoggerFrom(ctx).Info("serving a certificate", "certificate", k.options.Name,
			"authority", certificate.Leaf.Issuer.CommonName, "until", certificate.Leaf.NotAfter)
	}
	k.served.Store(certificate)
	if v.served == nil {
		close(k.ready)
	}
}

func (k *Keeper) write(ctx context.Context, secret *corev1.Secret, found []client.Object, next step) error {
	if next.secret != nil {
		secret.Data = next.secret
		if err := k.writer.Update(ctx, secret); err != nil {
			return fmt.Errorf("writing the %s: %w", k.options.Name, err)
		}
		return nil
	}
	if next.bundle == nil {
		return nil
	}
	for i, place := range k.options.Announced {
		if !slices.ContainsFunc(place.bundles(found[i]), func(b []byte) bool { return !bytes.Equal(b, next.bundle) }) {
			continue
		}
		patch, err := place.announcement(found[i], next.bundle)
		if err != nil {
			return err
		}
		if err := k.writer.Patch(ctx, found[i], client.RawPatch(types.JSONPatchType, patch)); err != nil {
			return fmt.Errorf("announcing the authorities of the %s: %w", k.options.Name, err)
		}
		return nil // the watches tell of it
	}
	return nil
}
