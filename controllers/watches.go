package controllers

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/model"
)

// referenceField is the index of cached AppTiers by what they depend on: the entries below, and
// others that carry the name of an object.
const (
	referenceField  = "spec.references"
	clusterDNS      = "dns"
	allNodes        = "nodes"
	apiServer       = "apiserver"
	namespaceScoped = "namespace" // holds for its whole namespace
)

func onAppTier(key string) string    { return "apptier/" + key }
func onService(key string) string    { return "service/" + key }
func onPods(namespace string) string { return "pods/" + namespace }

// dependencies are an AppTier's entries in the index.
func dependencies(app *v1alpha1.AppTier) []string {
	refs := model.ReferencesOf(app)
	var entries []string
	add := func(wanted bool, entry string) {
		if wanted {
			entries = append(entries, entry)
		}
	}
	add(refs.ClusterDNS, clusterDNS)
	add(refs.Nodes, allNodes)
	add(refs.APIServer, apiServer)
	add(holdsForNamespace(app), namespaceScoped)
	add(len(app.Spec.Tiers) > 0, onPods(app.Namespace)) // the status counts them
	for _, key := range refs.AppTiers {
		entries = append(entries, onAppTier(key.String()))
	}
	for _, key := range refs.Services {
		entries = append(entries, onService(key.String()), onPods(key.Namespace))
	}
	slices.Sort(entries)
	return slices.Compact(entries)
}

func indexReferences(ctx context.Context, mgr ctrl.Manager) error {
	return mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.AppTier{}, referenceField, func(object client.Object) []string {
		app, isAppTier := object.(*v1alpha1.AppTier)
		if !isAppTier {
			return nil
		}
		return dependencies(app)
	})
}

// watch reconciles AppTiers when something changes that they depend on.
func (r *AppTierReconciler) watch(b *builder.Builder) *builder.Builder {
	return b.
		Watches(&v1alpha1.AppTier{}, handler.EnqueueRequestsFromMapFunc(r.besideAppTier), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&networkingv1.NetworkPolicy{}, handler.EnqueueRequestsFromMapFunc(ofName), builder.WithPredicates(notGenerated())).
		Watches(&networkingv1.NetworkPolicy{}, handler.EnqueueRequestsFromMapFunc(r.besidePolicy), builder.WithPredicates(afterStart())).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.peersIn), builder.WithPredicates(afterStart(), predicate.LabelChangedPredicate{})).
		Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(r.behindService)).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(r.dependents(allNodes)), builder.WithPredicates(addressesChanged())).
		Watches(&discoveryv1.EndpointSlice{}, handler.EnqueueRequestsFromMapFunc(r.dependents(apiServer)), builder.WithPredicates(ofAPIServer())).
		Watches(&corev1.Pod{}, delayed(r.aroundPod), builder.WithPredicates(matchingChanged())).
		Watches(&corev1.Pod{}, delayed(r.besideHandWritten), builder.WithPredicates(afterStart(), judgedAnew()))
}

// dependents maps a change to the AppTiers with an entry in the index.
func (r *AppTierReconciler) dependents(entries ...string) handler.MapFunc {
	return func(ctx context.Context, _ client.Object) []reconcile.Request {
		var requests []reconcile.Request
		for _, entry := range entries {
			requests = append(requests, r.requests(ctx, client.MatchingFields{referenceField: entry})...)
		}
		return requests
	}
}

func (r *AppTierReconciler) requests(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var apps v1alpha1.AppTierList
	if err := r.Client.List(ctx, &apps, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing AppTiers")
		return nil
	}
	requests := make([]reconcile.Request, len(apps.Items))
	for i := range apps.Items {
		requests[i].NamespacedName = client.ObjectKeyFromObject(&apps.Items[i])
	}
	return requests
}

// besideAppTier: the AppTiers that refer to it, and, if it is for its whole namespace, the others there.
func (r *AppTierReconciler) besideAppTier(ctx context.Context, object client.Object) []reconcile.Request {
	requests := r.dependents(onAppTier(client.ObjectKeyFromObject(object).String()))(ctx, object)
	inNamespace := client.InNamespace(object.GetNamespace())
	if app, ok := object.(*v1alpha1.AppTier); ok && holdsForNamespace(app) {
		return append(requests, r.requests(ctx, inNamespace)...)
	}
	return append(requests, r.requests(ctx, inNamespace, client.MatchingFields{referenceField: namespaceScoped})...)
}

// ofName maps a policy that is not generated to the AppTier that needs its name: it may block the
// AppTier, or may have blocked it until now.
func ofName(_ context.Context, object client.Object) []reconcile.Request {
	name, rest, _ := strings.Cut(object.GetName(), ".")
	if rest != "namespace" && !strings.HasPrefix(rest, "tier.") {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: name}}}
}

func notGenerated() predicate.Predicate {
	return predicate.NewPredicateFuncs(func(object client.Object) bool {
		policy, ok := object.(*networkingv1.NetworkPolicy)
		return ok && v1alpha1.OwnerOf(policy) == ""
	})
}

func (r *AppTierReconciler) behindService(ctx context.Context, object client.Object) []reconcile.Request {
	key := client.ObjectKeyFromObject(object)
	entries := []string{onService(key.String())}
	switch key {
	case r.DNSService:
		entries = append(entries, clusterDNS)
	case kube.APIServer:
		entries = append(entries, apiServer)
	}
	return r.dependents(entries...)(ctx, object)
}

// aroundPod: the AppTiers that count the pods of its namespace, or refer to a Service there.
func (r *AppTierReconciler) aroundPod(ctx context.Context, object client.Object) []reconcile.Request {
	entries := []string{onPods(object.GetNamespace())}
	if r.servesDNS(ctx, object) {
		entries = append(entries, clusterDNS)
	}
	return r.dependents(entries...)(ctx, object)
}

// servesDNS says whether a pod's ports decide the target ports of the cluster's DNS.
func (r *AppTierReconciler) servesDNS(ctx context.Context, pod client.Object) bool {
	if pod.GetNamespace() != r.DNSService.Namespace {
		return false
	}
	service, err := environment.Cached{Reader: r.Client}.Service(ctx, r.DNSService)
	return err == nil && service != nil && environment.NamesPorts(service) &&
		labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(pod.GetLabels()))
}

// podDelay batches changes of pods, which come in bursts, into one pass over an AppTier.
const podDelay = time.Second

// delayed queues requests for later, each once.
func delayed(of handler.MapFunc) handler.EventHandler { return after(podDelay, of) }

func after(delay time.Duration, of handler.MapFunc) handler.EventHandler {
	later := func(ctx context.Context, object client.Object, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		for _, request := range of(ctx, object) {
			queue.AddAfter(request, delay)
		}
	}
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { later(ctx, e.Object, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { later(ctx, e.ObjectNew, q) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { later(ctx, e.Object, q) },
	}
}

// matchingChanged drops updates of pods after which they match as before.
func matchingChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*corev1.Pod)
		after, isPod := e.ObjectNew.(*corev1.Pod)
		return ok && isPod && (!equality.Semantic.DeepEqual(before.Labels, after.Labels) || isolatable(before) != isolatable(after))
	}}
}

func addressesChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*corev1.Node)
		after, isNode := e.ObjectNew.(*corev1.Node)
		return ok && isNode && !equality.Semantic.DeepEqual(before.Status.Addresses, after.Status.Addresses)
	}}
}

func ofAPIServer() predicate.Predicate {
	return predicate.NewPredicateFuncs(func(object client.Object) bool {
		return object.GetNamespace() == kube.APIServer.Namespace && object.GetLabels()[discoveryv1.LabelServiceName] == kube.APIServer.Name
	})
}
