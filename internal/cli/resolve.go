package cli

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/reach"
)

// end is what an end of a connection stands for.
type end struct {
	endRef
	endpoints []reach.Endpoint
	// pods are those of the endpoints that are known.
	pods []*corev1.Pod
	// service or tier says what ports there are, if the end is one.
	service *corev1.Service
	ports   []v1alpha1.TierPort
	// standIn is a pod that does not exist, but would be one of those that are meant.
	standIn *corev1.Pod
}

// resolve says what an end stands for. While no pod of a workload, tier or Service exists, one that
// would be of it stands in.
func (s *scene) resolve(r endRef, namespace string) (end, error) {
	e := end{endRef: r}
	switch {
	case r.address.IsValid():
		e.endpoints = []reach.Endpoint{{Address: r.address}}
		return e, nil
	case r.kind == "":
		var err error
		if e.endRef, err = s.disambiguate(r, namespace); err != nil {
			return e, err
		}
	}
	switch e.kind {
	case "Pod":
		e.endpoints = []reach.Endpoint{{Pod: e.NamespacedName}}
		if pod, ok := s.object("Pod", e.NamespacedName).(*corev1.Pod); ok {
			e.pods = []*corev1.Pod{pod}
		}
		return e, nil
	case "tier":
		return e, s.resolveTier(&e)
	case "Service":
		return e, s.resolveService(&e)
	default:
		s.resolveWorkload(&e)
		return e, nil
	}
}

// disambiguate decides between a pod of a namespace, and a tier of an AppTier.
func (s *scene) disambiguate(r endRef, namespace string) (endRef, error) {
	tier := r
	tier.kind, tier.Namespace, tier.Name, tier.tier = "tier", namespace, r.Namespace, r.Name
	r.kind = "Pod"
	isPod := s.object("Pod", r.NamespacedName) != nil
	app, _ := s.object("AppTier", tier.NamespacedName).(*v1alpha1.AppTier)
	isTier := app != nil && slices.Contains(tierNames(app), tier.tier)
	switch {
	case isPod && isTier:
		return r, fmt.Errorf("%s is a pod of namespace %s, and a tier of AppTier %s: write %s/pod/%s or tier/%s", r.text, r.Namespace, tier.NamespacedName, r.Namespace, r.Name, r.text)
	case isTier:
		return tier, nil
	default:
		return r, nil
	}
}

// object returns the object of a kind and name, or nil.
func (s *scene) object(kind string, key types.NamespacedName) runtime.Object {
	name := kind + " " + key.Namespace + "/" + key.Name
	for _, o := range s.objects() {
		if o.name == name {
			return o.Object
		}
	}
	return nil
}

func (s *scene) resolveTier(e *end) error {
	app, ok := s.object("AppTier", e.NamespacedName).(*v1alpha1.AppTier)
	if !ok {
		return fmt.Errorf("%s: there is no AppTier %s", e.text, e.NamespacedName)
	}
	i := slices.Index(tierNames(app), e.tier)
	if i < 0 {
		return fmt.Errorf("%s: AppTier %s has no tier %q: its tiers are %s", e.text, e.NamespacedName, e.tier, strings.Join(tierNames(app), ", "))
	}
	tier := &app.Spec.Tiers[i]
	e.ports = tier.Ports
	selector, err := metav1.LabelSelectorAsSelector(&tier.PodSelector)
	if err != nil {
		return fmt.Errorf("%s: podSelector: %w", e.text, err)
	}
	e.choose(s.podsMatching(app.Namespace, selector))
	if len(e.endpoints) == 0 {
		e.standFor(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: app.Namespace, Labels: labelsFor(&tier.PodSelector)}}, "tier/"+app.Name+"/"+tier.Name)
	}
	return nil
}

func (s *scene) resolveService(e *end) error {
	service, ok := s.object("Service", e.NamespacedName).(*corev1.Service)
	if !ok {
		return fmt.Errorf("%s: there is no Service %s", e.text, e.NamespacedName)
	}
	if len(service.Spec.Selector) == 0 {
		return fmt.Errorf("%s: Service %s has no selector, so it stands for no pods: give an address behind it", e.text, e.NamespacedName)
	}
	e.service = service
	e.choose(s.podsMatching(service.Namespace, labels.SelectorFromSet(service.Spec.Selector)))
	if len(e.endpoints) == 0 {
		e.standFor(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: service.Namespace, Labels: service.Spec.Selector}}, "service/"+service.Name)
	}
	return nil
}

func (s *scene) resolveWorkload(e *end) {
	name := strings.ToLower(e.kind) + "/" + e.Name
	workload := s.object(e.kind, e.NamespacedName)
	template := lint.PodOf(workload)
	if template == nil { // not there, which the answer will say
		e.endpoints = []reach.Endpoint{{Pod: types.NamespacedName{Namespace: e.Namespace, Name: name}}}
		return
	}
	selector := selectorOf(workload)
	if selector == nil {
		selector = labels.SelectorFromSet(template.Labels)
	}
	e.choose(slices.DeleteFunc(s.podsMatching(e.Namespace, selector), func(c candidate) bool { return c.workload != "" }))
	if len(e.endpoints) == 0 {
		e.standFor(template, name)
	}
}

// selectorOf is how a workload finds its pods; nil for one that has no selector.
func selectorOf(workload runtime.Object) labels.Selector {
	var of *metav1.LabelSelector
	switch o := workload.(type) {
	case *appsv1.Deployment:
		of = o.Spec.Selector
	case *appsv1.StatefulSet:
		of = o.Spec.Selector
	case *appsv1.DaemonSet:
		of = o.Spec.Selector
	case *appsv1.ReplicaSet:
		of = o.Spec.Selector
	case *batchv1.Job:
		of = o.Spec.Selector
	}
	selector, err := metav1.LabelSelectorAsSelector(of)
	if of == nil || err != nil {
		return nil
	}
	return selector
}

// candidate is a pod, or the one that a workload would make.
type candidate struct {
	*corev1.Pod
	// workload is as in deployment/web; empty for a pod.
	workload string
}

// podsMatching are the pods of a namespace that have not finished, and those that workloads would make.
func (s *scene) podsMatching(namespace string, selector labels.Selector) []candidate {
	var out []candidate
	for _, o := range s.objects() {
		pod := podOf(o.Object)
		if pod == nil || pod.Namespace != namespace || !selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		c := candidate{Pod: pod}
		if _, isPod := o.Object.(*corev1.Pod); !isPod {
			kind, _, _ := strings.Cut(o.name, " ")
			c.workload = strings.ToLower(kind) + "/" + pod.Name
		}
		if !reach.Finished(pod) {
			out = append(out, c)
		}
	}
	return out
}

// choose takes the pods among the candidates or, while there are none, one that a workload would make.
func (e *end) choose(candidates []candidate) {
	for _, c := range candidates {
		if c.workload == "" {
			e.pods = append(e.pods, c.Pod)
			e.endpoints = append(e.endpoints, reach.Endpoint{Pod: types.NamespacedName{Namespace: c.Namespace, Name: c.Name}})
		}
	}
	if len(e.pods) == 0 && len(candidates) > 0 {
		e.standFor(candidates[0].Pod, candidates[0].workload)
	}
}

// standFor has a pod stand in that does not exist. Its name says so: no pod's has a slash.
func (e *end) standFor(pod *corev1.Pod, name string) {
	pod = pod.DeepCopy()
	pod.Name = name
	e.standIn, e.pods = pod, []*corev1.Pod{pod}
	e.endpoints = []reach.Endpoint{{Pod: types.NamespacedName{Namespace: pod.Namespace, Name: name}}}
}

// labelsFor are labels that a selector matches.
func labelsFor(selector *metav1.LabelSelector) map[string]string {
	out := map[string]string{}
	for key, value := range selector.MatchLabels {
		out[key] = value
	}
	for _, requirement := range selector.MatchExpressions {
		switch requirement.Operator {
		case metav1.LabelSelectorOpIn:
			out[requirement.Key] = requirement.Values[0]
		case metav1.LabelSelectorOpExists:
			out[requirement.Key] = ""
		default: // the others are content without the label
		}
	}
	return out
}

// owns says whether a pod is in a namespace and has an address.
func owns(address netip.Addr, namespace string) func(*corev1.Pod) bool {
	return func(pod *corev1.Pod) bool {
		isAddress := func(ip corev1.PodIP) bool { return ip.IP == address.Unmap().String() }
		return pod.Namespace == namespace && slices.ContainsFunc(append([]corev1.PodIP{{IP: pod.Status.PodIP}}, pod.Status.PodIPs...), isAddress)
	}
}

func tierNames(app *v1alpha1.AppTier) []string {
	var names []string
	for _, tier := range app.Spec.Tiers {
		names = append(names, tier.Name)
	}
	return names
}
