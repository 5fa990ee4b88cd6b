package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	apptierv1alpha1 "github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/enforcer/compile"
)

const (
	// stagedPatience is how long a start waits for staged policies after all else is listed. Without them the first rules
	// would take those of a former enforcer out of the kernel, and the second put them in again.
	stagedPatience = 5 * time.Second
	// stagedRetry is how long to wait, at least, after staged policies could not be watched, and absentRetry if their kind
	// does not exist: all nodes of a cluster ask for it, for ever if it never comes. Each waits up to twice as long.
	stagedRetry = 5 * time.Second
	absentRetry = time.Minute
)

// StagedPolicies shows the cluster's StagedNetworkPolicies.
type StagedPolicies interface {
	List(ctx context.Context, o metav1.ListOptions) (*apptierv1alpha1.StagedNetworkPolicyList, error)
	Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error)
}

// NewStagedPolicies returns those of an API server, of which the kind is asked for as JSON: custom resources have no
// other form but CBOR.
func NewStagedPolicies(config *rest.Config) (StagedPolicies, error) {
	scheme := runtime.NewScheme()
	if err := apptierv1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.APIPath, config.GroupVersion = "/apis", &apptierv1alpha1.GroupVersion
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for stagednetworkpolicies: %w", err)
	}
	return &stagedClient{client, runtime.NewParameterCodec(scheme)}, nil
}

type stagedClient struct {
	client     rest.Interface
	parameters runtime.ParameterCodec
}

const stagedResource = "stagednetworkpolicies"

// List is StagedPolicies'.
func (c *stagedClient) List(ctx context.Context, o metav1.ListOptions) (*apptierv1alpha1.StagedNetworkPolicyList, error) {
	var all apptierv1alpha1.StagedNetworkPolicyList
	return &all, c.client.Get().Resource(stagedResource).VersionedParams(&o, c.parameters).Do(ctx).Into(&all)
}

// Watch is StagedPolicies'.
func (c *stagedClient) Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	o.Watch = true
	return c.client.Get().Resource(stagedResource).VersionedParams(&o, c.parameters).Watch(ctx)
}

// stagedWatcher writes staged policies to a store. Nothing waits for them or is wrong without them: their kind may be
// missing, come later and be removed.
type stagedWatcher struct {
	from  StagedPolicies
	store *kind[*compile.Policy]
	log   logr.Logger
	// absent is how long to wait where the kind does not exist.
	absent time.Duration

	answered chan struct{} // closed when the API server has answered, whatever it says
	once     sync.Once
	// result is what was logged last.
	result string
}

func newStagedWatcher(from StagedPolicies, store *kind[*compile.Policy], log logr.Logger) *stagedWatcher {
	return &stagedWatcher{from: from, store: store, log: log, absent: absentRetry, answered: make(chan struct{})}
}

// await waits until they are listed or cannot be, for a while.
func (w *stagedWatcher) await(ctx context.Context) {
	select {
	case <-w.store.listed:
	case <-w.answered:
	case <-ctx.Done():
	case <-time.After(stagedPatience):
	}
}

// run watches until the context ends.
func (w *stagedWatcher) run(ctx context.Context, client any) {
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			all, err := w.from.List(ctx, o)
			w.tell(ctx, err)
			return all, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			events, err := w.from.Watch(ctx, o)
			if err == nil {
				w.tell(ctx, nil)
			}
			return events, err
		},
	}
	reflector := cache.NewReflectorWithOptions(cache.ToListWatcherWithWatchListSemantics(lw, client),
		&apptierv1alpha1.StagedNetworkPolicy{}, w.store, cache.ReflectorOptions{})
	quiet := klog.NewContext(ctx, logr.Discard())
	for ctx.Err() == nil {
		err := reflector.ListAndWatchWithContext(quiet)
		pause := stagedRetry
		switch {
		case err == nil: // a watch ends after some minutes
			pause = time.Second
		case isAbsent(err):
			pause = w.absent
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause + rand.N(pause)): //nolint:gosec // nodes need not all come at once
		}
	}
}

// isAbsent says whether an error means that nobody has such policies, or that this enforcer may not see them: that of
// another version has another role.
func isAbsent(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsForbidden(err) }

// tell logs once that there are none to be had, and drops those that are known if nobody has any.
func (w *stagedWatcher) tell(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	defer w.once.Do(func() { close(w.answered) })
	result := "they are watched"
	switch {
	case apierrors.IsNotFound(err):
		result = "the cluster does not have this kind"
	case err != nil:
		result = string(apierrors.ReasonForError(err))
	}
	if result == w.result {
		return
	}
	w.result = result
	switch {
	case err == nil:
		w.log.V(1).Info("Watching StagedNetworkPolicies")
	case apierrors.IsNotFound(err):
		_ = w.store.Replace(nil, "")
		w.log.Info("The cluster does not have the kind StagedNetworkPolicy; looking again every minute or two")
	default:
		w.log.Info("Cannot watch StagedNetworkPolicies; what they would deny is not counted, and all else works", "reason", err.Error())
	}
}

func readStaged(object any) *compile.Policy {
	if o, ok := object.(*apptierv1alpha1.StagedNetworkPolicy); ok {
		return compile.NewPolicy(o.NetworkPolicy())
	}
	return object.(*compile.Policy)
}
