package wiring

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/apptier/apptier/enforcer/bind"
	"github.com/apptier/apptier/enforcer/links"
	"github.com/apptier/apptier/enforcer/nft"
)

// transactionTimeout bounds one transaction, and one look at the table.
const transactionTimeout = time.Minute

// Node is the wiring of one node. The methods Sync and Verify must not be called at the same time.
type Node struct {
	Links *links.Node
	// Kernel holds the table of package bind.
	Kernel nft.Kernel
	// Off says that addresses are not to be bound; Observed that this is no problem, since nothing is dropped at all.
	Off, Observed bool
	// ReadFile reads a file of /proc/sys; by default it is os.ReadFile.
	ReadFile func(name string) ([]byte, error)
	Log      logr.Logger

	seen   links.Revision
	pods   []bind.Pod
	found  Found
	ports  map[int]bind.Port // what was seen inside of ports, by index
	bound  bind.Bindings
	own    []netip.Addr
	others []string
	given  map[netip.Addr]bool // to pods, now or before, and still there
	// fine are pods by name that a link leads to, and the address by which that was seen.
	fine map[string]netip.Addr

	table    nft.Table
	inStep   bool // the kernel holds the table
	begun    bool
	auditor  nft.Auditor
	verified uint32

	mu    sync.Mutex
	state state
}

// Found is what the rules of the family inet need to know of links; names, sorted.
type Found struct {
	// Uplinks lead out of the node, Bridges have pods on their ports.
	Uplinks, Bridges []string
	// Tunnels are the ports of UDP at which the node takes packets out of packets; sorted.
	Tunnels []uint16
	// Attached are addresses of pods that Sync was not given and that are still attached; sorted.
	Attached []netip.Addr
	// Off says that addresses are not to be bound.
	Off bool
}

// Sync makes the kernel bind what these pods are given, and returns what was found. After an error the last
// good table stays, and the next Sync tries again.
func (n *Node) Sync(ctx context.Context, pods []bind.Pod) (Found, error) {
	now := n.Links.Revision()
	same := n.begun && n.inStep && n.settled() && now == n.seen && slices.EqualFunc(pods, n.pods, func(a, b bind.Pod) bool {
		return a.Name == b.Name && slices.Equal(a.Addresses, b.Addresses)
	})
	if same {
		return n.found, nil
	}
	if err := n.look(now, pods); err != nil {
		return n.found, err
	}
	if err := n.program(ctx); err != nil {
		return n.found, fmt.Errorf("binding addresses to the ports of bridges: %w", err)
	}
	n.seen, n.pods, n.begun = now, slices.Clone(pods), true
	return n.found, nil
}

// look reads what there is, as far as it may have changed.
func (n *Node) look(now links.Revision, pods []bind.Pod) error {
	all := n.Links.All()
	if !n.begun || now.Defaults != n.seen.Defaults {
		outward, err := n.Links.Outward()
		if err != nil {
			return err
		}
		n.found.Uplinks = names(all, func(l links.Link) bool { return slices.Contains(outward, l.Index) })
	}
	n.found.Tunnels = tunnels(all)
	bridges := map[int]bool{}
	for _, l := range all {
		if l.Kind == bridgeKind {
			bridges[l.Index] = true
		}
	}
	isPort := func(l links.Link) bool { return l.Kind == vethKind && bridges[l.Master] }
	n.others = names(all, func(l links.Link) bool { return isPort(l) && !l.Leads() })
	var ports []links.Link
	for _, l := range all {
		if isPort(l) && l.Leads() {
			ports = append(ports, l)
		}
	}
	if len(ports) > 0 && (now != n.seen || !n.begun) {
		if err := n.readOwn(); err != nil {
			return err
		}
	}
	if n.bound == nil {
		if err := n.adopt(); err != nil {
			return err
		}
	}
	n.lookInside(ports, pods)
	seen := make([]bind.Port, 0, len(n.ports))
	for _, p := range n.ports {
		seen = append(seen, p)
	}
	n.bound = bind.Bind(n.bound, seen, pods, n.own)
	n.found.Off = n.Off
	attached, err := n.attached(pods)
	if err != nil {
		return err
	}
	n.found.Attached = attached
	n.found.Bridges = names(all, func(b links.Link) bool {
		return slices.ContainsFunc(ports, func(p links.Link) bool {
			_, bound := n.bound[p.Name]
			return bound && p.Master == b.Index
		})
	})
	n.note(all, pods, time.Now())
	return nil
}

// settled says whether all pods have links. Until then it is looked again at every opportunity: what is inside
// of a pod changes without a word.
func (n *Node) settled() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state.settled()
}

// Watch calls changed after every change of links, until the context ends.
func (n *Node) Watch(ctx context.Context, changed func()) {
	for ctx.Err() == nil {
		if err := n.Links.Watch(ctx, changed); err != nil {
			n.Log.Error(err, "Cannot listen to changes of links; trying again")
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

// The kinds of links that matter.
const (
	vethKind   = "veth"
	bridgeKind = "bridge"
)

func names(all []links.Link, which func(links.Link) bool) []string {
	var out []string
	for _, l := range all {
		if which(l) {
			out = append(out, l.Name)
		}
	}
	slices.Sort(out)
	return out
}

func tunnels(all []links.Link) []uint16 {
	var ports []uint16
	for _, l := range all {
		if l.Port != 0 {
			ports = append(ports, l.Port)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

func (n *Node) readOwn() error {
	addresses, err := n.Links.Addresses()
	if err != nil {
		return err
	}
	n.own = nil
	for _, of := range addresses {
		n.own = append(n.own, of...)
	}
	slices.SortFunc(n.own, netip.Addr.Compare)
	n.own = slices.Compact(n.own)
	return nil
}

// adopt takes over what another enforcer has left.
func (n *Node) adopt() error {
	contents, err := n.Kernel.Contents(context.Background(), true)
	if err != nil {
		return err
	}
	n.bound = bind.Adopt(contents)
	return nil
}

// lookInside reads the other ends of ports that are not bound to all that their pods have. One that cannot be
// read does not change: it may be appearing or disappearing, and a change of the link follows.
func (n *Node) lookInside(ports []links.Link, pods []bind.Pod) {
	before := n.ports
	n.ports = make(map[int]bind.Port, len(ports))
	for _, l := range ports {
		p, known := before[l.Index]
		if !known || p.Name != l.Name || n.bound.Wanting(l.Name, l.Index, pods) {
			end, err := n.Links.Inside(l)
			if err != nil && !errors.Is(err, links.ErrGone) {
				n.Log.Error(err, "Cannot read what is behind the port of a bridge", "port", l.Name)
			}
			if err == nil {
				p.MAC, p.Addresses = end.MAC, end.Addresses
			}
			p.Name, p.Index = l.Name, l.Index
		}
		n.ports[l.Index] = p
	}
}

// program makes the kernel hold the table. A node without bridges that pods could be on has none.
func (n *Node) program(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(logr.NewContext(context.WithoutCancel(ctx), n.Log), transactionTimeout)
	defer cancel()
	if n.Off || len(n.bound) == 0 && n.table.Chains == nil {
		if !n.inStep {
			if err := nft.RemoveTable(ctx, n.Kernel); err != nil {
				return err
			}
			n.inStep = true
		}
		return nil
	}
	wanted := bind.Table(n.bound, n.own, n.others)
	ops := nft.Replace(wanted)
	if n.inStep && n.table.Chains != nil {
		ops = nft.Diff(n.table, wanted)
	}
	if len(ops) == 0 {
		return nil
	}
	n.inStep, n.verified = false, 0
	for _, phase := range nft.Phases(ops, nft.MaxSteps) {
		if err := nft.Apply(ctx, n.Kernel, phase); err != nil {
			return err
		}
	}
	n.table, n.inStep = wanted, true
	n.Log.V(1).Info("Ports of bridges bound", "ports", len(n.bound), "steps", len(ops))
	return nil
}

// Verify looks whether the table in the kernel is still the one that was written, and has the next Sync
// replace it if not.
func (n *Node) Verify(ctx context.Context) (ok bool, err error) {
	if !n.inStep {
		return true, nil
	}
	if n.table.Chains == nil {
		return n.settled(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	revision, err := n.Kernel.Revision(ctx)
	if err != nil || revision == n.verified {
		return err == nil && n.settled(), err
	}
	contents, err := n.Kernel.Contents(ctx, true)
	if err != nil {
		return false, err
	}
	difference := n.auditor.Compare(n.table, contents)
	if difference == "" {
		n.verified = revision
		return n.settled(), nil
	}
	n.inStep = false
	n.auditor.Forget()
	n.Log.Info("The table of bridges in the kernel is not the one that was written; writing it again", "difference", difference)
	return false, nil
}
