package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
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
	"github.com/apptier/apptier/policy/rule"
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

// try says whether a case holds.
func (t *tester) try(c testCase) (report.Result, error) {
	result := report.Result{Name: c.title(), Outcome: report.Passed, Messages: []report.Message{}}
	result.File, result.Line = c.source.Origin.WrittenAt(c.path)
	expect := func(from []string, want reach.Verdict) error {
		for _, source := range from {
			for _, destination := range c.To {
				if err := t.expect(&result, c, t.ends[c.namespace+" "+source], t.ends[c.namespace+" "+destination], want); err != nil {
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
			err = t.nobodyElse(&result, c)
		}
	}
	if err != nil {
		return result, manifest.NewProblem(c.source, c.path, err.Error(), "")
	}
	if result.Connections == 0 {
		result.Outcome = report.Unknown
		result.Messages = append(result.Messages,
			report.Message{What: "no connection is meant: an end has no pod, or no address of the family of the other's"})
	}
	return result, nil
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
	var others scene.End
	for _, pod := range t.asked.Snapshot.Pods {
		name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
		if isNamed[name] || pod.Spec.HostNetwork || kube.Finished(pod) || scene.IsStandIn(pod) && isLike(pod) {
			continue
		}
		others.Endpoints = append(others.Endpoints, reach.Endpoint{Pod: name})
	}
	for _, text := range c.To {
		if err := t.expect(result, c, others, t.ends[c.namespace+" "+text], reach.Deny); err != nil {
			return err
		}
		to := t.ends[c.namespace+" "+text]
		if len(to.Pods) == 0 {
			continue // what is no pod, no policy keeps addresses from
		}
		if err := t.expect(result, c, t.otherAddresses(to, *c.OnlyFrom, internet), to, reach.Deny); err != nil {
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

// expect adds to a result what connections between two ends are not as expected.
func (t *tester) expect(result *report.Result, c testCase, from, to scene.End, want reach.Verdict) error {
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
		e.Endpoints = q.Internet
	}
	flows, err := t.flows(c, from, to)
	if err != nil {
		return err
	}
	q.Answers = scene.AnswersTo(q.Evaluator, flows)
	t.scene.Doubt(q.Snapshot, q.Answers)
	if want == reach.Deny {
		q.NoteTunnels(t.messages)
	}
	for _, a := range q.Answers {
		result.Connections += a.Pairs
		if a.Result.Verdict != want {
			t.report(result, &q, a)
		}
	}
	return nil
}

// report adds a connection that is not as expected.
func (t *tester) report(result *report.Result, q *ask.Question, a scene.Answer) {
	switch {
	case a.Result.Verdict != reach.Unknown:
		result.Outcome = report.Failed
	case result.Outcome == report.Passed:
		result.Outcome = report.Unknown
	}
	if len(result.Messages) == report.MostMessages {
		result.More += a.Pairs
		return
	}
	m := report.Message{What: q.Headline(a)}
	for _, half := range a.Halves(q.Evaluator) {
		m.Why = append(m.Why, fmt.Sprintf("%-8s %-8s %s", half.Name, ask.VerdictWord(half.Decision.Verdict), q.ReasonWords(half.Decision.Reason)))
		if m.Line == 0 && half.Decision.Verdict == a.Result.Verdict {
			m.File, m.Line = q.DecidedAt(half.Decision)
		}
	}
	result.Messages = append(result.Messages, m)
}

// flows are the connections of a case between two ends: of a range of ports, one for each at which policies may change
// their mind.
func (t *tester) flows(c testCase, from, to scene.End) ([]reach.Flow, error) {
	if len(c.Ports) == 0 {
		return t.flowsAt("", "", from, to)
	}
	var flows []reach.Flow
	for _, port := range c.Ports {
		span, err := port.Span()
		if err != nil {
			return nil, err
		}
		ports := []string{span.Name}
		if span.Name == "" {
			ports = ports[:0]
			for _, n := range t.within(span) {
				ports = append(ports, strconv.Itoa(n))
			}
		}
		for _, one := range ports {
			more, err := t.flowsAt(one, span.Protocol, from, to)
			if err != nil {
				return nil, err
			}
			flows = append(flows, more...)
		}
	}
	return flows, nil
}

func (t *tester) flowsAt(port, protocol string, from, to scene.End) ([]reach.Flow, error) {
	o := ask.Options{Port: port, Protocol: protocol, PortWord: "ports"}
	if len(from.Endpoints) == 0 {
		return nil, nil // nobody
	}
	return o.Flows(from, to)
}

// within are the first port of a range, and those at which policies may change their mind.
func (t *tester) within(span assertion.Span) []int {
	out := []int{span.First}
	for _, n := range t.points {
		if n > span.First && n <= span.Last {
			out = append(out, n)
		}
	}
	return out
}

// pointsOf are the ports at which policies may change their mind: where a range begins, and has ended, and those that
// containers declare.
func pointsOf(snapshot reach.Snapshot) []int {
	policies := make([]*rule.Policy, 0, len(snapshot.Policies))
	for _, policy := range snapshot.Policies {
		read := kube.ReadPolicy(types.NamespacedName{Namespace: policy.Namespace, Name: policy.Name}, &policy.Spec)
		policies = append(policies, &read)
	}
	var points []int
	for _, edges := range rule.Ask(policies...).Edges {
		for _, edge := range edges {
			points = append(points, int(edge))
		}
	}
	for _, pod := range snapshot.Pods {
		for _, port := range kube.Ports(pod) {
			points = append(points, int(port.ContainerPort), int(port.ContainerPort)+1)
		}
	}
	slices.Sort(points)
	return slices.Compact(points)
}
