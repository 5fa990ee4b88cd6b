package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/seen/words"
	"github.com/apptier/apptier/test/cluster/build"
	"github.com/apptier/apptier/test/scenario"
)

// report is the job that nobody declared.
var report = map[string]string{"app": "report"}

// patience is how long something may take that the demo waits for, beside the audit's own time.
const patience = 2 * time.Minute

func (s *story) audit(ctx context.Context) error {
	s.tell("Applying config/samples/shop.yaml with mode: Audit, which denies nothing, while a job runs that nobody declared")
	if err := s.applySample(ctx, func(spec *v1alpha1.AppTierSpec) { spec.Mode = v1alpha1.Audit }); err != nil {
		return err
	}
	if err := s.awaitCondition(ctx, v1alpha1.ConditionProgrammed); err != nil {
		return err
	}
	if err := s.runReport(ctx, "report-1"); err != nil {
		return err
	}
	fmt.Println("The job reached the database. With the AppTier enforced it would not have:")
	return s.showConnection(ctx, func(c connections.Connection) bool {
		return c.Verdict == connections.WouldDeny && c.Destination.Pod == "database"
	})
}

func (s *story) declare(ctx context.Context) error {
	s.tell(fmt.Sprintf("Declaring the job, and waiting until nothing would be denied for %s (a day, where it counts)", scenario.AuditPeriod))
	if err := s.applySample(ctx, func(spec *v1alpha1.AppTierSpec) {
		spec.Mode = v1alpha1.Audit
		declareReport(spec)
	}); err != nil {
		return err
	}
	if err := s.awaitCondition(ctx, v1alpha1.ConditionProgrammed); err != nil {
		return err
	}
	if err := s.runReport(ctx, "report-2"); err != nil {
		return err
	}
	if err := s.awaitCondition(ctx, v1alpha1.ConditionAudited); err != nil {
		return err
	}
	fmt.Println("kubectl wait --for=condition=Audited apptier/shop -n shop: condition met")
	return nil
}

// declareReport lets the job reach the database.
func declareReport(spec *v1alpha1.AppTierSpec) {
	for i := range spec.Tiers {
		if tier := &spec.Tiers[i]; tier.Name == "database" {
			pods := &v1alpha1.PodsPeer{PodSelector: metav1.LabelSelector{MatchLabels: report}}
			tier.Ingress[0].From = append(tier.Ingress[0].From, v1alpha1.Peer{Pods: pods})
		}
	}
}

// denial shows one of the connections that were just tried, by name.
func (s *story) denial(ctx context.Context) error {
	s.tell("What was denied has names")
	return s.showConnection(ctx, func(c connections.Connection) bool {
		return c.Verdict == connections.Denied && c.Source.Pod == "frontend" && c.Destination.Pod == "database"
	})
}

// runReport runs the job once, which connects to the database.
func (s *story) runReport(ctx context.Context, name string) error {
	var database corev1.Pod
	if err := s.client.Get(ctx, client.ObjectKey{Namespace: scenario.Shop.Namespace, Name: "database"}, &database); err != nil {
		return fmt.Errorf("finding the database: %w", err)
	}
	pod := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: report}, Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To[int64](65534),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name: "report", Image: build.AgnhostImage, ImagePullPolicy: corev1.PullIfNotPresent,
			Command: []string{"/agnhost", "connect", "--timeout=5s", database.Status.PodIP + ":5432"},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: ptr.To(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
	}}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: scenario.Shop.Namespace, Name: name}, Spec: batchv1.JobSpec{Template: pod}}
	err := s.client.Delete(ctx, job.DeepCopy(), client.PropagationPolicy(metav1.DeletePropagationForeground))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing what an earlier demo left: %w", err)
	}
	return s.await(ctx, "the job "+name+" is done", func(ctx context.Context) (bool, error) {
		now := job.DeepCopy()
		if err := s.client.Get(ctx, client.ObjectKeyFromObject(job), now); client.IgnoreNotFound(err) != nil || err == nil {
			return now.Status.Succeeded > 0, err
		}
		return false, s.client.Create(ctx, job.DeepCopy())
	})
}

func (s *story) awaitCondition(ctx context.Context, condition string) error {
	return s.await(ctx, "the AppTier is "+condition, func(ctx context.Context) (bool, error) {
		var app v1alpha1.AppTier
		if err := s.client.Get(ctx, scenario.Shop, &app); err != nil {
			return false, err
		}
		c := meta.FindStatusCondition(app.Status.Conditions, condition)
		return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == app.Generation, nil
	})
}

func (s *story) await(ctx context.Context, what string, is wait.ConditionWithContextFunc) error {
	if err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience+scenario.AuditPeriod, true, is); err != nil {
		return fmt.Errorf("waiting until %s: %w", what, err)
	}
	return nil
}

// showConnection prints a connection of the shop as "kubectl apptier denied" does, as soon as it is known.
func (s *story) showConnection(ctx context.Context, is func(connections.Connection) bool) error {
	config, err := s.cluster.RESTConfig()
	if err != nil {
		return err
	}
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("setting up a client: %w", err)
	}
	path := []string{"/apis", connections.GroupVersion.String(), "namespaces", scenario.Shop.Namespace, "connections"}
	var found connections.Connection
	err = s.await(ctx, "the connection is known by name", func(ctx context.Context) (bool, error) {
		text, err := api.RESTClient().Get().AbsPath(path...).DoRaw(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // the API server may not have found the manager yet
		}
		var list connections.ConnectionList
		if err := json.Unmarshal(text, &list); err != nil {
			return false, errors.Join(errDiffers, err)
		}
		i := slices.IndexFunc(list.Items, is)
		if i >= 0 {
			found = list.Items[i]
		}
		return i >= 0, nil
	})
	if err != nil {
		return err
	}
	fmt.Printf("  kubectl apptier denied -n shop\n  %s %s\n           %s\n",
		found.Last.Local().Format(time.TimeOnly), words.Line(found), words.Explain(found))
	return nil
}
