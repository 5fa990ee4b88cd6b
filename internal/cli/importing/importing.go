package importing

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/ask"
	"github.com/apptier/apptier/internal/cli/diff"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/policy/adopt"
	"github.com/apptier/apptier/policy/compare"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/model"
)

// importing is an import under way.
type importing struct {
	before   *ask.Question
	policies []manifest.Object
	// others are policies of network plugins.
	others   []foreign
	settings environment.Settings
	narrow   bool
	// sides are those that were compared last.
	sides [2]*ask.Question
}

func (i *importing) run(ctx context.Context) (report.Import, error) {
	in, err := i.input(ctx)
	if err != nil {
		return report.Import{}, err
	}
	out, err := adopt.Import(ctx, in, i.prove)
	if err != nil {
		return report.Import{}, err
	}
	after := i.sides[1]
	after.Meant.Accepted = slices.Clone(after.Meant.Accepted)
	after.Meant.Environment = in.Environment
	for _, app := range out.AppTiers {
		source := manifest.Object{Object: app, Name: "AppTier " + manifest.Qualified(app)}
		after.Meant.Accepted = append(after.Meant.Accepted, scene.AppTier{AppTier: app, Source: source})
	}
	imported := report.Import{AppTiers: out.AppTiers, Changes: diff.Describe(i.sides, out.Differences)}
	for _, o := range i.policies {
		imported.Policies = append(imported.Policies, becomes(o, out, o.Object))
	}
	for _, o := range i.others {
		imported.Policies = append(imported.Policies, o.becomes(out))
	}
	return imported, nil
}

// input is what is known about the policies and around them.
func (i *importing) input(ctx context.Context) (adopt.Input, error) {
	in := adopt.Input{Namespaces: i.before.Snapshot.Namespaces, Refuses: refuses, Narrow: i.narrow}
	for _, o := range i.policies {
		in.Policies = append(in.Policies, o.Object.(*networkingv1.NetworkPolicy))
	}
	for _, o := range i.others {
		in.Policies = append(in.Policies, o.policies...)
	}
	for _, policy := range i.before.Snapshot.Policies {
		if !slices.Contains(in.Policies, policy) {
			in.Beside = append(in.Beside, policy)
		}
	}
	for _, pod := range i.before.Snapshot.Pods {
		in.Pods = append(in.Pods, adopt.Pod{Pod: pod, Workload: workloadOf(pod)})
	}
	for _, pod := range i.before.Scene.Strangers() {
		if !strings.Contains(pod.Name, " ") { // of others nothing is known
			in.Pods = append(in.Pods, adopt.Pod{Pod: pod.Pod, Workload: workloadOf(pod.Pod)})
		}
	}
	for _, app := range scene.AppTiers(i.before.Scene.Objects()) {
		in.AppTiers = append(in.AppTiers, app.AppTier)
	}
	i.before.Snapshot.Policies = slices.Concat(in.Beside, in.Policies)
	in.Unjudged = unjudgedIn(i.before.Scene.OtherPolicies(), i.others)
	wanted := model.ReferencesOf(in.AppTiers...)
	wanted.ClusterDNS = true
	var err error
	in.Environment, err = i.settings.Of(ctx, wanted, scene.InputWorld(i.before.Scene.Objects()))
	return in, err
}

// refuses is the first reason for which admission would refuse an AppTier in any cluster.
func refuses(app *v1alpha1.AppTier) string {
	for _, f := range lint.AppTier(app) {
		if f.Severity == check.Reject {
			return string(f.Path) + ": " + f.Message
		}
	}
	return ""
}

var number = regexp.MustCompile(`-\d+$`)

// workloadOf is the name of what makes a pod; of a StatefulSet, without the pod's number.
func workloadOf(pod *corev1.Pod) string {
	name := diff.WorkloadName(pod)
	name = name[strings.LastIndex(name, "/")+1:]
	if _, isNumbered := pod.Labels[appsv1.StatefulSetPodNameLabel]; isNumbered && scene.IsStandIn(pod) {
		name = number.ReplaceAllString(name, "")
	}
	return name
}

// prove compares what there is with some policies in its place.
func (i *importing) prove(ctx context.Context, policies []*networkingv1.NetworkPolicy) (compare.Result, error) {
	for at := range i.sides {
		q := &ask.Question{Scene: i.before.Scene, Snapshot: i.before.Snapshot, Meant: i.before.Meant}
		q.Snapshot.Pods, q.Snapshot.Namespaces = slices.Clone(q.Snapshot.Pods), slices.Clone(q.Snapshot.Namespaces)
		q.Snapshot.UnknownLabels = map[types.NamespacedName][]string{}
		i.sides[at] = q
	}
	i.sides[1].Snapshot.Policies = policies
	return diff.Compared(ctx, i.sides)
}

// becomes is what a policy becomes, for the report: what AppTiers say of those that mean the same.
func becomes(o manifest.Object, out adopt.Result, same ...runtime.Object) report.ImportedPolicy {
	kind, name, _ := strings.Cut(o.Name, " ")
	p := report.ImportedPolicy{Kind: kind, Name: name, Lines: o.Origin.Lines(), Object: o.Object}
	p.File, p.Line = o.Origin.WrittenAt("metadata.name")
	for _, a := range out.Adopted {
		if !slices.Contains(same, runtime.Object(a.Policy)) {
			continue
		}
		p.AppTier, p.Tier = a.AppTier.String(), a.Tier
		for _, number := range slices.Sorted(maps.Keys(a.Numbers)) {
			p.Notes = append(p.Notes, fmt.Sprintf("its port %s is %d, as in the pods of the input: "+
				"pods with the same labels have this port open under any name", a.Numbers[number], number))
		}
	}
	for _, s := range out.Stays {
		if slices.Contains(same, runtime.Object(s.Policy)) {
			p.Stays, p.AppTier, p.Tier, p.Notes = s.Reason, "", "", nil
		}
	}
	return p
}
