package learning

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
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

// input is what was seen, and what is known of the cluster: by manifests, or by itself.
func (o *options) input(ctx context.Context, streams genericiooptions.IOStreams, namespace string,
	seen []learn.Observation) (learn.Input, error) {
	in := learn.Input{Observations: seen, MinCount: o.minCount, LeaveOut: o.doubtful == "leave-out", MostAddresses: o.mostAddresses}
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
			scene.ListAppTiers, scene.ListAPIServer, scene.ListJobs)
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
	known := runsAmong(s.Objects())
	known.name(in.Observations)
	in.Pods = podsOf(s.Objects(), known)
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
func podsOf(objects []manifest.Object, known runs) []learn.Pod {
	var out []learn.Pod
	var makers []maker
	for _, o := range objects {
		workload := kube.WorkloadOf(o.Object)
		if workload == nil || workload.Kind == "Job" && o.IsLive() { // a Job of the cluster has its pods already
			continue
		}
		m := known.maker(workload)
		makers = append(makers, m)
		for _, pod := range workload.Pods {
			out = append(out, learn.Pod{Pod: pod, Workload: m.name, Selector: m.selector})
		}
	}
	for _, o := range objects {
		pod, isPod := o.Object.(*corev1.Pod)
		if !isPod {
			continue
		}
		one := learn.Pod{Pod: pod, Workload: known.ownerOf(pod)}
		if i := slices.IndexFunc(makers, func(m maker) bool { return m.Makes(pod) }); i >= 0 {
			one.Workload, one.Selector = makers[i].name, makers[i].selector
		}
		out = append(out, one)
	}
	return out
}
