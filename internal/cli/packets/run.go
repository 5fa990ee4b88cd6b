package packets

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/internal/probe"
)

// atOnce is in how many pods there are probes at a time.
const atOnce = 8

// looksEvery is how often a pod is asked whether its probe has ended.
const looksEvery = 300 * time.Millisecond

// cleansWithin is how long the deletion of pods may take, when the run itself is over.
const cleansWithin = 30 * time.Second

// Runner does what a plan says.
type Runner struct {
	Client kubernetes.Interface
	Run    Run
	// Done hears how many jobs have ended; it is called by several at once.
	Done func(jobs int)
}

// Result is what came of a job: the outcomes of its targets, or why there are none.
type Result struct {
	Outcomes []probe.Outcome
	NotTried string
}

// Do does all jobs, and deletes what it made, however it ends. Ephemeral containers end by themselves. Results beside an
// error are all there, and something is left.
func (r *Runner) Do(ctx context.Context, jobs []Job) (results []Result, err error) {
	results = make([]Result, len(jobs))
	var made atomic.Bool
	defer func() {
		if made.Load() {
			err = errors.Join(err, r.clean(ctx, jobs))
		}
	}()
	var group errgroup.Group
	group.SetLimit(atOnce)
	var done atomic.Int64
	for i, job := range jobs {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("trying connections: %w", err)
			}
			if job.New {
				made.Store(true)
			}
			results[i] = r.do(ctx, i, job)
			if r.Done != nil {
				r.Done(int(done.Add(1)))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("trying connections: %w", err)
	}
	return results, nil
}

// do does one job. What goes wrong is why nothing is known.
func (r *Runner) do(ctx context.Context, number int, job Job) Result {
	ctx, cancel := context.WithTimeout(ctx, limit(job.Order))
	defer cancel()
	name := nameOf(job.Pod)
	if job.New {
		name = types.NamespacedName{Namespace: job.Owner.Name, Name: r.Run.name(number)}
	}
	if err := r.start(ctx, number, job); err != nil {
		return Result{NotTried: fmt.Sprintf("the probe is not let start: %v", err)}
	}
	if job.New { // as soon as it is known what came of it: the others may take long
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleansWithin)
			defer cancel()
			_ = r.remove(ctx, name) // clean deletes what is left, and says what it cannot
		}()
	}
	message, err := r.await(ctx, name, r.Run.name(number))
	if err != nil {
		return Result{NotTried: err.Error()}
	}
	outcomes, err := probe.ParseMessage(message, len(job.Order.Targets))
	if err != nil {
		return Result{NotTried: fmt.Sprintf("the image %s has no probe of this version (--probe-image): %v", r.Run.Image, err)}
	}
	return Result{Outcomes: outcomes}
}

// start starts the probe of a job.
func (r *Runner) start(ctx context.Context, number int, job Job) error {
	pods := r.Client.CoreV1().Pods(job.Pod.Namespace)
	if job.New {
		_, err := pods.Create(ctx, r.Run.pod(number, job), metav1.CreateOptions{})
		return err
	}
	patch, err := r.Run.ephemeralPatch(number, job.Order)
	if err != nil {
		return err
	}
	_, err = pods.Patch(ctx, job.Pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "ephemeralcontainers")
	return err
}

// await waits until the container has ended, and returns its message.
func (r *Runner) await(ctx context.Context, name types.NamespacedName, container string) (message string, err error) {
	var ended *corev1.ContainerStateTerminated
	var seen error
	err = wait.PollUntilContextCancel(ctx, looksEvery, false, func(ctx context.Context) (bool, error) {
		pod, err := r.Client.CoreV1().Pods(name.Namespace).Get(ctx, name.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return false, errors.New("the pod is gone")
		case err != nil:
			seen = err
			return false, nil //nolint:nilerr // the API server may be back before the time is over
		}
		var stuck string
		if ended, stuck = progressOf(pod, container); stuck != "" {
			return false, errors.New(stuck)
		}
		return ended != nil, nil
	})
	switch {
	case err == nil:
		return ended.Message, nil
	case ctx.Err() == nil:
		return "", err
	default:
		return "", errors.Join(errors.New("the probe did not end in time"), seen)
	}
}

// clean deletes what the run made and is still there, also when the context has ended.
func (r *Runner) clean(ctx context.Context, jobs []Job) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleansWithin)
	defer cancel()
	var problems []error
	for i, job := range jobs {
		if job.New {
			problems = append(problems, r.remove(ctx, types.NamespacedName{Namespace: job.Owner.Name, Name: r.Run.name(i)}))
		}
	}
	return errors.Join(problems...)
}

// Remove deletes pods that earlier runs left, and says which.
func (r *Runner) Remove(ctx context.Context, pods []*corev1.Pod) error {
	for _, pod := range pods {
		if err := r.remove(ctx, nameOf(pod)); err != nil {
			return err
		}
	}
	return nil
}

func (r *Runner) remove(ctx context.Context, name types.NamespacedName) error {
	err := r.Client.CoreV1().Pods(name.Namespace).Delete(ctx, name.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting pod %s, which this run made (kubectl delete pod -n %s -l %s): %w", name, name.Namespace, LabelRun, err)
	}
	return nil
}

// ImageOf is the image of ours that the nodes of a cluster have: that of an enforcer, which is on each, or else of a manager.
// Only the namespaces that apptier is installed in count: elsewhere anybody may give a pod its labels, and an image of his own.
// Where no enforcer is installed, its namespace is free, and who may make namespaces may have it. So its pod must be on the
// host's network, as an enforcer is: who may have such a pod has no need of an image in others'.
func ImageOf(pods []*corev1.Pod) string {
	for _, from := range []struct {
		namespace, component string
		onHost               bool
	}{{"apptier-enforcer", "enforcer", true}, {"apptier-system", "manager", false}} {
		for _, pod := range pods {
			isOurs := pod.Namespace == from.namespace && pod.Labels["app.kubernetes.io/name"] == "apptier" &&
				pod.Labels["app.kubernetes.io/component"] == from.component && (pod.Spec.HostNetwork || !from.onHost)
			if isOurs && len(pod.Spec.Containers) > 0 {
				return pod.Spec.Containers[0].Image
			}
		}
	}
	return ""
}
