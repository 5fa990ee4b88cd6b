package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli/ask"
	"github.com/apptier/apptier/internal/cli/assertion"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
)

// tester tries cases in a scene.
type tester struct {
	options *ask.Options
	scene   *scene.Scene
	asked   *ask.Question
	// ends are those of the cases, by namespace and text.
	ends map[string]scene.End
	// messages are notes for people.
	messages io.Writer
	// points are the ports at which policies may change their mind; sorted.
	points []int
	// judge adds to a result what becomes of connections.
	judge func(result *report.Result, q *ask.Question, flows []reach.Flow, as expectation)
	// choose says which of everybody else are asked about.
	choose func([]*corev1.Pod) []*corev1.Pod
}

// expectation is what must be so of connections.
type expectation struct {
	want reach.Verdict
	// named says that the case names their source, and stands that an address stands for others.
	named, stands bool
}

// prepare finds the ends of all cases, and takes the snapshot that they are tried in.
func (t *tester) prepare(ctx context.Context, streams genericiooptions.IOStreams, cases []testCase) error {
	var problems []error
	var ends []scene.End
	for _, c := range cases {
		for i, text := range c.ends() {
			if _, known := t.ends[c.namespace+" "+text]; known {
				continue
			}
			e, err := t.find(c, text, i >= len(c.From) && i < len(c.From)+len(c.To))
			if err != nil {
				problems = append(problems, manifest.NewProblem(c.source, c.path, err.Error(), ""))
				continue
			}
			t.ends[c.namespace+" "+text] = e
			ends = append(ends, e)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	streams.ErrOut = report.OnlyOnce(streams.ErrOut)
	t.messages = streams.ErrOut
	var err error
	if t.asked, err = t.options.Look(ctx, streams, t.scene, ends); err != nil {
		return err
	}
	scene.TellPartly(streams.ErrOut, t.asked.Snapshot)
	t.asked.AddStandIns(t.scene.Strangers())
	pods, namespaces := scene.Described(t.asked.Snapshot, scene.NamespacesOf(t.scene))
	t.asked.AddStandIns(pods)
	t.asked.Snapshot.Namespaces = append(t.asked.Snapshot.Namespaces, namespaces...)
	t.asked.Evaluator = reach.New(t.asked.Snapshot)
	t.points = pointsOf(t.asked.Snapshot)
	return nil
}

// find says what an end of a case stands for. An address that is a Service's means the Service, as a destination.
func (t *tester) find(c testCase, text string, isDestination bool) (scene.End, error) {
	r, err := scene.ParseEnd(text, c.namespace)
	if err != nil {
		return scene.End{}, err
	}
	if r.Address.IsValid() && isDestination {
		r = t.scene.Translated(r, "")
	}
	return t.scene.Resolve(r, c.namespace)
}

// try has a case judged. Its connections are added to the result.
func (t *tester) try(result *report.Result, c testCase) error {
	*result = report.Result{Name: c.title(), Outcome: report.Passed, Messages: []report.Message{}}
	result.File, result.Line = c.source.Origin.WrittenAt(c.path)
	expect := func(from []string, want reach.Verdict) error {
		for _, source := range from {
			for _, destination := range c.To {
				as := expectation{want: want, named: true}
				if err := t.expect(result, c, t.ends[c.namespace+" "+source], t.ends[c.namespace+" "+destination], as); err != nil {
					return err
				}
			}
		}
		return nil
	}
	var err error
	switch {
	case c.OnlyFrom == nil && c.Expect == assertion.Allow:
		err = expect(c.From, reach.Allow)
	case c.OnlyFrom == nil:
		err = expect(c.From, reach.Deny)
	default:
		if err = expect(*c.OnlyFrom, reach.Allow); err == nil {
			err = t.nobodyElse(result, c)
		}
	}
	if err != nil {
		return manifest.NewProblem(c.source, c.path, err.Error(), "")
	}
	return nil
}

// complete says of a result that it knows of no connection.
func complete(result *report.Result) {
	if result.Connections+result.NotTried == 0 {
		result.Outcome = report.Unknown
		result.Messages = append(result.Messages,
			report.Message{What: "no connection is meant: an end has no pod, or no address of the family of the other's"})
	}
}

// title is the name of the case, or what it says.
func (c testCase) title() string {
	ports := make([]string, 0, len(c.Ports))
	for _, port := range c.Ports {
		ports = append(ports, string(port))
	}
	to := strings.Join(c.To, ", ")
	if len(ports) > 0 {
		to += " " + strings.Join(ports, ", ")
	}
	switch {
	case c.Name != "":
		return c.Name
	case c.OnlyFrom == nil:
		return fmt.Sprintf("%s %s -> %s", c.Expect, strings.Join(c.From, ", "), to)
	case len(*c.OnlyFrom) == 0:
		return "nobody -> " + to
	default:
		return fmt.Sprintf("only %s -> %s", strings.Join(*c.OnlyFrom, ", "), to)
	}
}

// nobodyElse expects that everybody but those of onlyFrom is denied.
func (t *tester) nobodyElse(result *report.Result, c testCase) error {
	isNamed := map[types.NamespacedName]bool{}
	var named []*corev1.Pod
	internet := false
	for _, text := range *c.OnlyFrom {
		e := t.ends[c.namespace+" "+text]
		internet = internet || e.Kind == scene.InternetKind
		named = append(named, e.Pods...)
		for _, endpoint := range e.Endpoints {
			isNamed[endpoint.Pod] = true
		}
	}
	// A pod that does not exist, with no labels but some of a named one, cannot be told from that.
	isLike := func(pod *corev1.Pod) bool {
		return len(pod.Labels) > 0 && slices.ContainsFunc(named, func(of *corev1.Pod) bool {
			return of.Namespace == pod.Namespace && labels.SelectorFromSet(pod.Labels).Matches(labels.Set(of.Labels))
		})
	}
	isOther := func(pod *corev1.Pod) bool {
		name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
		return !isNamed[name] && !pod.Spec.HostNetwork && !kube.Finished(pod) && (!scene.IsStandIn(pod) || !isLike(pod))
	}
	pods := slices.DeleteFunc(slices.Clone(t.asked.Snapshot.Pods), func(pod *corev1.Pod) bool { return !isOther(pod) })
	if t.choose != nil {
		pods = t.choose(pods)
	}
	var others scene.End
	for _, pod := range pods {
		others.Endpoints = append(others.Endpoints, reach.Endpoint{Pod: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}})
	}
	for _, text := range c.To {
		if err := t.expect(result, c, others, t.ends[c.namespace+" "+text], expectation{want: reach.Deny}); err != nil {
			return err
		}
		to := t.ends[c.namespace+" "+text]
		if len(to.Pods) == 0 {
			continue // what is no pod, no policy keeps addresses from
		}
		if err := t.expect(result, c, t.otherAddresses(to, *c.OnlyFrom, internet), to, expectation{want: reach.Deny, stands: true}); err != nil {
			return err
		}
	}
	return nil
}

// otherAddresses are one of each range that policies tell apart, but for those that are named, of the internet if it
// is, and of pods and nodes, which are other ends.
func (t *tester) otherAddresses(to scene.End, named []string, internet bool) scene.End {
	var out scene.End
	families := to.Families()
	for _, a := range scene.ToldApart(t.asked.Snapshot) {
		isNamed := internet && expand.IsInternet(a, nil) || slices.Contains(named, a.String())
		if !isNamed && !t.isKnown(a) && slices.Contains(families, a.Is4()) {
			out.Endpoints = append(out.Endpoints, reach.Endpoint{Address: a})
		}
	}
	return out
}

// isKnown says whether an address is a pod's or a node's.
func (t *tester) isKnown(a netip.Addr) bool {
	return slices.ContainsFunc(t.asked.Snapshot.Pods, func(pod *corev1.Pod) bool { return slices.Contains(kube.Addresses(pod), a) }) ||
		slices.ContainsFunc(t.asked.Snapshot.Nodes, func(node *corev1.Node) bool {
			return slices.ContainsFunc(node.Status.Addresses, func(n corev1.NodeAddress) bool { return n.Address == a.String() })
		})
}

// expect has the connections between two ends judged.
func (t *tester) expect(result *report.Result, c testCase, from, to scene.End, as expectation) error {
	q := *t.asked
	ends := []*scene.End{&from, &to}
	for i, e := range ends {
		if e.Kind != scene.InternetKind {
			continue
		}
		if ends[1-i].Kind == scene.InternetKind {
			return errors.New("no end is a pod, and policies are about pods")
		}
		settings, err := t.options.Managed.Settings()
		if err != nil {
			return err
		}
		q.Internet = scene.InternetAddresses(q.Snapshot, settings.ClusterNetworks, ends[1-i].Families())
		e.Endpoints, as.stands = q.Internet, true
	}
	flows, err := t.flows(c, from, to)
	if err != nil {
		return err
	}
	t.judge(result, &q, flows, as)
	return nil
}

// byPolicies judges connections by what policies say of them.
func (t *tester) byPolicies(result *report.Result, q *ask.Question, flows []reach.Flow, as expectation) {
	q.Answers = scene.AnswersTo(q.Evaluator, flows)
	t.scene.Doubt(q.Snapshot, q.Answers)
	if as.want == reach.Deny {
		q.NoteTunnels(t.messages)
	}
	for _, a := range q.Answers {
		result.Connections += a.Pairs
		if a.Result.Verdict != as.want {
			t.report(result, q, a)
		}
	}
}

// report adds a connection that is not as expected.
func (t *tester) report(result *report.Result, q *ask.Question, a scene.Answer) {
	if a.Result.Verdict == reach.Unknown {
		result.Worsen(report.Unknown)
	} else {
		result.Worsen(report.Failed)
	}
	if len(result.Messages) == report.MostMessages {
		result.More += a.Pairs
		return
	}
	result.Messages = append(result.Messages, reasons(q, a, q.Headline(a)))
}

// reasons is a message with what decides about a connection.
func reasons(q *ask.Question, a scene.Answer, what string) report.Message {
	m := report.Message{What: what}
	for _, half := range a.Halves(q.Evaluator) {
		m.Why = append(m.Why, fmt.Sprintf("%-8s %-8s %s", half.Name, ask.VerdictWord(half.Decision.Verdict), q.ReasonWords(half.Decision.Reason)))
		if m.Line == 0 && half.Decision.Verdict == a.Result.Verdict {
			m.File, m.Line = q.DecidedAt(half.Decision)
		}
	}
	return m
}
