package learning

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/exit"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/learn"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/model"
)

// input is what is known of the cluster: by manifests, or by itself.
func (o *options) input(ctx context.Context, streams genericiooptions.IOStreams, namespace string) (learn.Input, error) {
	in := learn.Input{MinCount: o.minCount, LeaveOut: o.doubtful == "leave-out", MostAddresses: o.mostAddresses}
	in.Learns = func(of string) bool { return !strings.HasPrefix(of, "kube-") }
	if o.namespaced {
		in.Learns = func(of string) bool { return of == namespace }
	}
	settings, err := o.Managed.Settings()
	if err != nil {
		return in, err
	}
	s := &scene.Scene{}
	if o.Input.Given() || o.Live {
		s, _, err = o.Read(ctx, streams.In, namespace, scene.ListNamespaces, scene.ListPods, scene.ListNodes, scene.ListServices,
			scene.ListAppTiers, scene.ListAPIServer)
		if err != nil {
			return in, err
		}
	}
	if in.AppTiers, err = appTiers(s, streams); err != nil {
		return in, err
	}
	for _, object := range s.Objects() {
		switch of := object.Object.(type) {
		case *corev1.Service:
			in.Services = append(in.Services, of)
		case *corev1.Namespace:
			in.Namespaces = append(in.Namespaces, of)
		case *corev1.Node:
			in.Nodes = append(in.Nodes, of)
		}
	}
	in.Pods = podsOf(s.Objects())
	wanted := model.ReferencesOf(in.AppTiers...)
	wanted.ClusterDNS, wanted.Nodes, wanted.APIServer = true, true, true
	in.Environment, err = settings.Of(ctx, wanted, scene.InputWorld(s.Objects()))
	return in, err
}

// appTiers are those that are there. Of one that is refused nobody can say what it declares.
func appTiers(s *scene.Scene, streams genericiooptions.IOStreams) ([]*v1alpha1.AppTier, error) {
	var out []*v1alpha1.AppTier
	var refused []manifest.Finding
	for _, app := range scene.AppTiers(s.Objects()) {
		for _, f := range check.WithSeverity(lint.AppTier(app.AppTier), check.Reject) {
			refused = append(refused, manifest.Finding{Finding: f, Source: app.Source})
		}
		out = append(out, app.AppTier)
	}
	if len(refused) > 0 {
		report.WriteFindings(streams.ErrOut, refused)
		return nil, &exit.AnswerError{Code: exit.Negative, Answer: fmt.Sprintf("refused: %d errors", len(refused))}
	}
	return out, nil
}

// podsOf are the pods among some objects, and those that workloads would make, each with what makes it.
func podsOf(objects []manifest.Object) []learn.Pod {
	var out []learn.Pod
	var workloads []*kube.Workload
	for _, o := range objects {
		workload := kube.WorkloadOf(o.Object)
		if workload == nil {
			continue
		}
		workloads = append(workloads, workload)
		for _, pod := range workload.Pods {
			out = append(out, learn.Pod{Pod: pod, Workload: workload.Name, Selector: workload.Selector})
		}
	}
	for _, o := range objects {
		pod, isPod := o.Object.(*corev1.Pod)
		if !isPod {
			continue
		}
		one := learn.Pod{Pod: pod, Workload: ownerOf(pod)}
		if i := slices.IndexFunc(workloads, func(w *kube.Workload) bool { return w.Makes(pod) }); i >= 0 {
			one.Workload, one.Selector = workloads[i].Name, workloads[i].Selector
		}
		out = append(out, one)
	}
	return out
}

// endsWithTime ends the name of a Job that a CronJob made.
var endsWithTime = regexp.MustCompile(`-\d{8,}$`)

// ownerOf is the name of what makes a pod; empty if nothing does.
func ownerOf(pod *corev1.Pod) string {
	owner := metav1.GetControllerOf(pod)
	switch {
	case owner == nil:
		return ""
	case owner.Kind == "ReplicaSet":
		return strings.TrimSuffix(owner.Name, "-"+pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey])
	case owner.Kind == "Job":
		return endsWithTime.ReplaceAllString(owner.Name, "")
	default:
		return owner.Name
	}
}
