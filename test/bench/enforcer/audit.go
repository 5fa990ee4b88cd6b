package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	crclient "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/test/bench/asker"
)

// audits are clusters in which the agent goes on while packets pass, and is asked each second which connections it saw.
var audits = []struct {
	size
	flags []string
}{
	{size: size{Name: recordsDenied, Local: 100, Remote: 1000, Policies: 10, Kinds: true}},
	{size: size{Name: "the same, and a staged policy beside each", Local: 100, Remote: 1000, Policies: 10, Kinds: true, Staged: true}},
	{
		size: size{
			Name: "the same, and allowed connections are recorded too", Local: 100, Remote: 1000, Policies: 10, Kinds: true, Staged: true,
		},
		flags: []string{"--record-allowed"},
	},
}

// connectionsPort is where agents answer.
const connectionsPort = 9810

// recordsDenied is what the others are compared with.
const recordsDenied = "10 policies, and what they deny is recorded"

// watchedLane is a lane whose agent runs, and is asked. Where there is no agent, both are nil.
type watchedLane struct {
	lane
	agent  *agent
	asking *asker.Asking
}

// audit measures what it costs others that connections are recorded, and that staged policies are judged.
func audit(ctx context.Context, o options, p programs, say func(string, ...any)) (result *Audit, err error) {
	result = &Audit{}
	manager, err := asker.NewManager(os.TempDir())
	if err != nil {
		return result, err
	}
	var lanes []watchedLane
	for i, a := range audits {
		say("the rules of a cluster with %s", a.Name)
		l, err := live(ctx, p, a.size, firstAudit+i, manager, a.flags)
		if err != nil {
			return result, fmt.Errorf("%s: %w", a.Name, err)
		}
		lanes = append(lanes, l)
		result.Traffic = append(result.Traffic, l.result)
	}
	if result.Memory, err = memory(ctx, o, p, firstAudit+len(audits)+1, manager, say); err != nil {
		return result, err
	}
	say("the speed of packets while connections are recorded, %d rounds", o.trafficRounds)
	for range o.trafficRounds {
		for _, i := range rand.Perm(len(lanes)) {
			if err := errors.Join(lanes[i].check(ctx), lanes[i].traffic(ctx, o.burst), lanes[i].asking.Check()); err != nil {
				return result, err
			}
		}
	}
	say("%d denied packets a second, %d rounds", deniedPerSecond, o.floodRounds)
	result.Floods, err = floods(ctx, o.floodRounds, lanes)
	return result, err
}

// memory measures what an agent needs in the largest chosen cluster, without and with a staged policy beside each policy.
func memory(
	ctx context.Context, o options, p programs, n int, manager *asker.Manager, say func(string, ...any),
) (held []Held, err error) {
	chosen, err := o.chosen()
	if err != nil || len(chosen) == 0 {
		return nil, err
	}
	s := chosen[len(chosen)-1]
	s.Kinds = true
	for i, staged := range []bool{false, true} {
		s.Staged = staged
		say("the memory of an agent in the cluster %s, with staged policies: %v", s.Name, staged)
		one, err := heldBy(ctx, p, s, n+i, manager)
		if err != nil {
			return held, fmt.Errorf("%s: %w", s.Name, err)
		}
		held = append(held, one)
	}
	return held, nil
}

// heldBy starts an agent, has it asked, and returns what it holds a while later.
func heldBy(ctx context.Context, p programs, s size, n int, manager *asker.Manager) (held Held, err error) {
	c, err := newScenario(ctx, p, s, n, os.Stderr)
	if err != nil {
		return Held{}, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	at := netip.AddrPortFrom(c.lab.control, connectionsPort).String()
	c.agent.flags = manager.Flags(at)
	if err := c.up(ctx); err != nil {
		return Held{}, err
	}
	asking, end := context.WithCancel(ctx)
	defer end()
	if _, err := manager.Ask(asking, at); err != nil {
		return Held{}, err
	}
	select {
	case <-ctx.Done():
		return Held{}, ctx.Err()
	case <-time.After(heldAfter):
	}
	u, err := c.agent.usage(ctx)
	if err != nil {
		return Held{}, err
	}
	end()
	return Held{Size: s, Now: u.held, Peak: u.peak}, c.agent.stop()
}

// live makes a lab whose agent runs until the bench ends, and whose client may connect to the server.
func live(ctx context.Context, p programs, s size, n int, manager *asker.Manager, flags []string) (watchedLane, error) {
	c, err := newScenario(ctx, p, s, n, io.Discard)
	if err != nil {
		return watchedLane{}, err
	}
	at := netip.AddrPortFrom(c.lab.control, connectionsPort).String()
	c.agent.flags = append(manager.Flags(at), flags...)
	if err := c.up(ctx); err != nil {
		return watchedLane{}, err
	}
	if err := c.let(ctx); err != nil {
		return watchedLane{}, err
	}
	asking, err := manager.Ask(ctx, at)
	return watchedLane{lane{lab: c.lab, judged: true, result: &Traffic{Rules: s.Name}}, c.agent, asking}, err
}

// stage creates a staged policy like each of these.
func (c *controlPlane) stage(ctx context.Context, policies []*networkingv1.NetworkPolicy) error {
	custom, err := crclient.New(c.environment.Config, crclient.Options{})
	if err != nil {
		return err
	}
	if err := v1alpha1.AddToScheme(custom.Scheme()); err != nil {
		return err
	}
	for _, p := range policies {
		staged := &v1alpha1.StagedNetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name}, Spec: p.Spec}
		if err := custom.Create(ctx, staged); err != nil {
			return fmt.Errorf("creating a staged policy: %w", err)
		}
	}
	return nil
}

// Audit is what it costs that connections are recorded.
type Audit struct {
	Memory  []Held
	Traffic []*Traffic
	Floods  []*Flood
}

// stagedGoal is how many connections there are at least, for the same time, of those without staged policies.
const stagedGoal = 0.97

// auditTable compares what connections and packets cost.
func (r *Results) auditTable() table {
	t := table{[][]string{{
		"rules", "new TCP connections for the same time", "TCP bytes", "UDP packets", "new TCP connections a second", "goal",
	}}}
	if r.Audit == nil || len(r.Audit.Traffic) == 0 || len(r.Audit.Traffic[0].Connections) == 0 {
		return table{}
	}
	base := r.Audit.Traffic[0]
	for i, l := range r.Audit.Traffic {
		goal := ""
		if i == 1 {
			goal = fmt.Sprint(stagedGoal)
		}
		t.add(l.Rules, samples(base.ConnectionCPU).against(l.ConnectionCPU).spread("%.3f"),
			samples(base.ThroughputCPU).against(l.ThroughputCPU).spread("%.3f"),
			samples(base.DatagramCPU).against(l.DatagramCPU).spread("%.3f"), samples(l.Connections).spread("%.0f"), goal)
	}
	return t
}

// Held is the memory of an agent in a cluster, in MiB: a while after its start, and the most till then.
type Held struct {
	Size      size
	Now, Peak float64
}

// heldAfter is that while: garbage of the start is collected, and given back.
const heldAfter = 30 * time.Second

// heldGoal is how much more staged policies may take, in MiB.
const heldGoal = 10.0

func (r *Results) memoryTable() table {
	if r.Audit == nil || len(r.Audit.Memory) < 2 {
		return table{}
	}
	t := table{[][]string{{"cluster", "staged policies", "held, MiB", "most, MiB", "more (goal: 10)"}}}
	base := r.Audit.Memory[0]
	for _, h := range r.Audit.Memory {
		staged, more := "none", ""
		if h.Size.Staged {
			staged, more = "one beside each policy", limit(h.Now-base.Now, heldGoal)
		}
		t.add(fmt.Sprintf("%s: %d pods, %d policies", h.Size.Name, h.Size.Local+h.Size.Remote, h.Size.Policies), staged,
			fmt.Sprintf("%.0f", h.Now), fmt.Sprintf("%.0f", h.Peak), more)
	}
	return t
}

// recordedFor is how long the agent is watched in a round: it reads the records each second.
const recordedFor = 2 * time.Second
