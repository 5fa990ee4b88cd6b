package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"

	"github.com/apptier/apptier/internal/cli/ask"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/cli/packets"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/internal/version"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
)

// packetOptions are the flags of test that are about packets.
type packetOptions struct {
	on      bool
	image   string
	timeout time.Duration
	given   func(flag string) bool
}

const (
	imageFlag   = "probe-image"
	timeoutFlag = "connect-timeout"
)

func (o *packetOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.on, "packets", false, "Try the connections on the cluster, with packets from its pods.")
	cmd.Flags().StringVar(&o.image, imageFlag, "",
		"With --packets: the image that has the probe. (default that of the cluster's enforcer or manager)")
	cmd.Flags().DurationVar(&o.timeout, timeoutFlag, 3*time.Second, "With --packets: how long to wait for each connection.")
	o.given = func(flag string) bool { return cmd.Flags().Changed(flag) }
}

func (o *packetOptions) validate() error {
	for _, flag := range []string{imageFlag, timeoutFlag} {
		if !o.on && o.given(flag) {
			return fmt.Errorf("--%s is about packets: give --packets too", flag)
		}
	}
	if o.timeout < 100*time.Millisecond || o.timeout > time.Minute {
		return fmt.Errorf("--%s %s: wait from 100ms to 1m", timeoutFlag, o.timeout)
	}
	return nil
}

// packetTester has cases tried with packets.
type packetTester struct {
	*tester
	packetOptions
	client   func() (kubernetes.Interface, error)
	progress func(done, of int)
	// pods are those of the snapshot, and left those that earlier runs left.
	pods map[types.NamespacedName]*corev1.Pod
	left []*corev1.Pod
	// wanted are the connections of all cases.
	wanted []askedFor
}

// askedFor is a connection that a case asks about.
type askedFor struct {
	packets.Connection
	result   *report.Result
	question *ask.Question
	want     reach.Verdict
}

// testerOf is what tries cases with packets.
func (o *packetOptions) testerOf(t *tester, streams genericiooptions.IOStreams) *packetTester {
	p := &packetTester{tester: t, packetOptions: *o, client: t.options.Client, progress: report.Progress(streams.ErrOut, "pods tried from")}
	t.judge, t.choose = p.collect, packets.OneOfEach
	return p
}

// judgeAll tries all cases.
func (p *packetTester) judgeAll(ctx context.Context, streams genericiooptions.IOStreams, cases []testCase) ([]report.Result, error) {
	if len(p.scene.Input) > 0 {
		return nil, fmt.Errorf("--packets tries the cluster as it is: leave out %s, or --packets", p.scene.Input[0].Name)
	}
	p.setOursAside()
	if err := p.prepare(ctx, streams, cases); err != nil {
		return nil, err
	}
	p.pods = map[types.NamespacedName]*corev1.Pod{}
	for _, pod := range p.asked.Snapshot.Pods {
		p.pods[types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}] = pod
	}
	results := make([]report.Result, len(cases))
	for i, c := range cases {
		if err := p.try(&results[i], c); err != nil {
			return nil, err
		}
	}
	told, err := p.send(ctx, cases)
	if !told {
		return nil, err
	}
	for i := range results {
		complete(&results[i])
	}
	return results, err
}

// setOursAside takes the pods that runs made out of the scene: they are no ends of connections.
func (p *packetTester) setOursAside() {
	p.scene.Live = slices.DeleteFunc(p.scene.Live, func(o manifest.Object) bool {
		pod, isPod := o.Object.(*corev1.Pod)
		isOurs := isPod && packets.IsMade(pod)
		if isOurs {
			p.left = append(p.left, pod)
		}
		return isOurs
	})
	p.left = packets.LeftBehind(p.left, time.Now())
}

// collect notes connections, to be tried together: each pod gets one probe for all cases.
func (p *packetTester) collect(result *report.Result, q *ask.Question, flows []reach.Flow, as expectation) {
	podOf := func(name types.NamespacedName) *corev1.Pod { return p.pods[name] }
	for _, flow := range flows {
		for _, one := range packets.OfEachFamily(flow, podOf) {
			about := *q
			about.Answers = scene.AnswersTo(q.Evaluator, []reach.Flow{one})
			p.scene.Doubt(q.Snapshot, about.Answers)
			p.wanted = append(p.wanted, askedFor{
				Connection: packets.Connection{Flow: one, Named: as.named, Stands: as.stands}, result: result, question: &about, want: as.want,
			})
		}
	}
}

// send tries what was collected, and tells the results. An error beside them is that something is left of the run.
func (p *packetTester) send(ctx context.Context, cases []testCase) (told bool, err error) {
	plan := packets.Make(p.world(cases), connectionsOf(p.wanted))
	client, err := p.client()
	if err != nil {
		return false, err
	}
	runner := &packets.Runner{Client: client, Run: packets.Run{ID: rand.String(6), Image: p.chooseImage()}}
	for _, pod := range p.left {
		if err := runner.Remove(ctx, []*corev1.Pod{pod}); err != nil {
			fmt.Fprintf(p.messages, "note: an earlier run left a pod: %v\n", err)
			continue
		}
		fmt.Fprintf(p.messages, "note: pod %s/%s, which an earlier run left, is deleted\n", pod.Namespace, pod.Name)
	}
	missing, err := packets.Missing(ctx, client, plan.Rights())
	if err != nil {
		return false, err
	}
	if plan, err = plan.Without(missing); err != nil {
		return false, err
	}
	if len(plan.Jobs) > 0 && runner.Run.Image == "" {
		return false, errors.New("the cluster runs neither an enforcer nor a manager whose image could be used: " +
			"give one of ours with --" + imageFlag)
	}
	tellWhatIsMade(p.messages, plan)
	runner.Done = func(done int) { p.progress(done, len(plan.Jobs)) }
	if len(plan.Jobs) > 0 {
		runner.Done(0)
	}
	outcomes, err := runner.Do(ctx, plan.Jobs)
	if outcomes == nil {
		return false, err
	}
	p.tell(plan, outcomes)
	return true, err
}

// chooseImage is the image that has the probe.
func (p *packetTester) chooseImage() string {
	switch found := packets.ImageOf(p.asked.Snapshot.Pods); {
	case p.image != "":
		return p.image
	case found == "" && version.Version != "":
		return "ghcr.io/apptier/manager:" + version.Version
	default:
		return found
	}
}

// world is what a plan is made in. Something is started only in namespaces that a case has a source in, and beside what
// only some may reach.
func (p *packetTester) world(cases []testCase) packets.World {
	snapshot := p.asked.Snapshot
	w := packets.World{Pods: snapshot.Pods, Namespaces: snapshot.Namespaces, Within: map[string]bool{}, Timeout: p.timeout}
	for _, o := range p.scene.Objects() {
		if service, ok := o.Object.(*corev1.Service); ok {
			w.Services = append(w.Services, service)
		}
	}
	for _, c := range cases {
		where := slices.Clone(c.From)
		if c.OnlyFrom != nil {
			where = slices.Concat(where, *c.OnlyFrom, c.To)
		}
		for _, text := range where {
			p.addNamespaces(w.Within, p.ends[c.namespace+" "+text])
		}
	}
	return w
}

// addNamespaces adds those of the pods of an end, also if it is written as an address.
func (p *packetTester) addNamespaces(within map[string]bool, e scene.End) {
	for _, pod := range e.Pods {
		within[pod.Namespace] = true
	}
	for _, pod := range p.pods {
		if e.Address.IsValid() && !pod.Spec.HostNetwork && slices.Contains(kube.Addresses(pod), e.Address.Unmap()) {
			within[pod.Namespace] = true
		}
	}
}

func connectionsOf(asked []askedFor) []packets.Connection {
	out := make([]packets.Connection, len(asked))
	for i, a := range asked {
		out[i] = a.Connection
	}
	return out
}

// tellWhatIsMade says what the cluster gets, and what of it stays.
func tellWhatIsMade(out io.Writer, plan packets.Plan) {
	var running, made []string
	for _, job := range plan.Jobs {
		if job.New {
			set := "no labels"
			if len(job.Pod.Labels) > 0 {
				set = report.LabelWords(job.Pod.Labels)
			}
			made = append(made, fmt.Sprintf("%s (%s)", job.Pod.Namespace, set))
			continue
		}
		running = append(running, job.Pod.Namespace+"/"+job.Pod.Name)
	}
	if len(running) > 0 {
		fmt.Fprintf(out, "note: each of these pods gets an ephemeral container, which ends by itself, and which the pod lists until it is "+
			"replaced: %s\n", report.Few(running))
	}
	if len(made) > 0 {
		fmt.Fprintf(out, "note: for what does not run, pods are made and deleted in %s\n", report.Few(made))
	}
}
