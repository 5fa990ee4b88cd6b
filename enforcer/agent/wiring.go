package agent

import (
	"context"
	"time"

	"github.com/apptier/apptier/enforcer/bind"
	"github.com/apptier/apptier/enforcer/health"
	"github.com/apptier/apptier/enforcer/wiring"
)

// Wiring looks after the links of the node; wiring.Node is one.
type Wiring interface {
	Sync(ctx context.Context, pods []bind.Pod) (wiring.Found, error)
	Verify(ctx context.Context) (ok bool, err error)
	// Problems is a health.Report's check.
	Problems(now time.Time) []health.Problem
	// Watch calls changed after every change of links, until the context ends.
	Watch(ctx context.Context, changed func())
}

// Host looks at the kernel of the node; host.Node is one.
type Host interface {
	// Problems is a health.Report's check.
	Problems(now time.Time) []health.Problem
	// Watch looks until the context ends.
	Watch(ctx context.Context)
}

// bind has the addresses of this node's pods bound before the rules open them.
func (s *Syncer) bind(ctx context.Context) error {
	if s.Wiring == nil {
		return nil
	}
	locals := s.compiler.LocalPods()
	pods := make([]bind.Pod, 0, len(locals))
	for _, p := range locals {
		pods = append(pods, bind.Pod(p))
	}
	found, err := s.Wiring.Sync(ctx, pods)
	s.compiler.SetAttached(found.Attached)
	s.compiler.SetLinks(found.Uplinks, found.Bridges, found.Tunnels)
	s.compiler.BindAddresses(!found.Off || s.Observe)
	return err
}
