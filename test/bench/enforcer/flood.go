package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/bench/process"
)

// deniedPerSecond is how many packets one pod sends that its server's policies deny.
const deniedPerSecond = 20_000

// Flood is what became of others meanwhile, by round.
type Flood struct {
	Rules, Packets string
	// Sent is how many were sent a second, and Agent what the agent used, in percent of a processor.
	Sent, Agent []float64
	// Connections are others' new ones a second with the flood, of those without it just before.
	Connections []float64
}

// flooding are the packets: from one pod to another, to one port, or to one port after the other.
var flooding = []struct {
	name string
	port func(n int) uint16
}{
	{"to one port", func(int) uint16 { return probePort }},
	{"to 50,000 ports, one after the other", func(n int) uint16 { return uint16(10_000 + n%50_000) }},
}

// floods floods every lane, and one in which a plain rule drops the same packets: to send them takes processors, too.
func floods(ctx context.Context, rounds int, lanes []watchedLane) ([]*Flood, error) {
	plain, err := dropping(ctx, firstAudit+len(lanes))
	if err != nil {
		return nil, err
	}
	lanes = append([]watchedLane{{lane: plain}}, lanes...)
	var results []*Flood
	for _, packets := range flooding {
		first := len(results)
		for _, l := range lanes {
			results = append(results, &Flood{Rules: l.result.Rules, Packets: packets.name})
		}
		for range rounds {
			for _, i := range rand.Perm(len(lanes)) {
				if err := lanes[i].flood(ctx, packets.port, results[first+i]); err != nil {
					return results, fmt.Errorf("%s: %w", lanes[i].result.Rules, err)
				}
			}
		}
	}
	return results, nil
}

// dropping is a lab without the enforcer that drops what the bystander sends to the server over UDP.
func dropping(ctx context.Context, n int) (lane, error) {
	l, err := newLab(n)
	if err != nil {
		return lane{}, err
	}
	rule := exec.CommandContext(ctx, "nft", fmt.Sprintf(`table inet bench { chain forward { type filter hook forward priority 0; ct state invalid drop
		ip saddr %s meta l4proto udp drop; }; }`, wired[bystander]))
	err = network.In(l.node, func() error {
		if out, err := rule.CombinedOutput(); err != nil {
			return fmt.Errorf("dropping packets: %w\n%s", err, out)
		}
		return nil
	})
	return lane{lab: l, result: &Traffic{Rules: "one rule that drops them, and no agent"}}, err
}

// flood measures one round.
func (l watchedLane) flood(ctx context.Context, port func(int) uint16, result *Flood) error {
	quiet, err := l.newConnections(recordedFor)
	if err != nil {
		return err
	}
	before, err := l.used()
	if err != nil {
		return err
	}
	flooding, end := context.WithCancel(ctx)
	defer end()
	sent := make(chan int, 1)
	failed := make(chan error, 1)
	go func() {
		n, err := l.deny(flooding, port)
		sent <- n
		failed <- err
	}()
	started := time.Now()
	under, err := l.newConnections(recordedFor)
	took := time.Since(started)
	end()
	n := <-sent
	if err := errors.Join(err, <-failed); err != nil {
		return err
	}
	after, err := l.used()
	result.Sent = append(result.Sent, float64(n)/took.Seconds())
	result.Connections = append(result.Connections, under/quiet)
	if l.agent != nil {
		err = errors.Join(err, l.asking.Check())
		result.Agent = append(result.Agent, 100*float64(after-before)/float64(took))
	}
	return errors.Join(err, ctx.Err())
}

// used is the agent's processor time since it began; 0 without one.
func (l watchedLane) used() (time.Duration, error) {
	if l.agent == nil {
		return 0, nil
	}
	return process.CPU(l.agent.command.Process.Pid)
}

// deny sends denied packets until the context ends, and returns how many.
func (l watchedLane) deny(ctx context.Context, port func(int) uint16) (sent int, err error) {
	to := &unix.SockaddrInet4{Addr: wired[server].As4()}
	packet := append(udpHeader(wired[bystander], wired[server]), make([]byte, payloadLength)...)
	binary.BigEndian.PutUint16(packet[20:], 9999)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	started := time.Now()
	for ctx.Err() == nil {
		<-ticker.C
		for due := int(time.Since(started).Seconds() * deniedPerSecond); sent < due; sent++ {
			binary.BigEndian.PutUint16(packet[22:], port(sent))
			err := unix.Sendto(l.prober.raw[bystander], packet, 0, to)
			if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.ENOBUFS) {
				return sent, fmt.Errorf("sending a packet that is denied: %w", err)
			}
		}
	}
	return sent, nil
}

// agentGoal is how much of a processor the agent uses at most, in percent.
const agentGoal = 5.0

func (r *Results) floodTable() table {
	if r.Audit == nil || len(r.Audit.Floods) == 0 {
		return table{}
	}
	t := table{[][]string{{
		"packets, from one pod to another", "rules", "sent a second", "the agent, % of a processor (goal: 5)",
		"others' new TCP connections, of those without the flood", "that against one rule that drops",
	}}}
	var plain *Flood
	for _, f := range r.Audit.Floods {
		if len(f.Agent) == 0 {
			plain = f
		}
		agent := "–"
		if s := samples(f.Agent); len(s) > 0 {
			agent = against(s.median(), agentGoal, s.spread("%.1f"))
		}
		t.add(f.Packets, f.Rules, samples(f.Sent).spread("%.0f"), agent, samples(f.Connections).spread("%.2f"),
			samples(f.Connections).against(plain.Connections).spread("%.2f"))
	}
	return t
}
