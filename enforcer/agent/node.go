package agent

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/health"
	"github.com/apptier/apptier/enforcer/nft"
)

// nodeMissing: the API server has no object of this node. Deleting it (by kubectl, or a cloud's controller) stops no
// pod: pods keep running, at least for their grace period.
const nodeMissing health.Reason = "NodeMissing"

// rangesMismatch: addresses of pods are not in the ranges that the node's object names, so that the ranges close
// no pod before it is known.
const rangesMismatch health.Reason = "RangesMismatch"

// rangeProblems is a health.Report's check.
func (s *Syncer) rangeProblems(time.Time) []health.Problem {
	if !s.outside.Load() {
		return nil
	}
	return []health.Problem{{
		Reason: rangesMismatch, Severity: health.Warning,
		Message: fmt.Sprintf("pods of node %s have addresses outside of its spec.podCIDRs: a pod that starts there is open until it is known; "+
			"let the container runtime announce pods (NRI), or set podCIDRs to what the network plugin gives addresses from", s.Node),
	}}
}

// isMissing says whether this node has no object. The store is locked.
func (s *store) isMissing() bool {
	select {
	case <-s.nodes.listed:
		return len(s.nodes.objects) == 0
	default:
		return false // nodes were not listed yet
	}
}

// problems is a health.Report's check.
func (s *store) problems(time.Time) []health.Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isMissing() {
		return nil
	}
	return []health.Problem{{
		Reason: nodeMissing, Severity: health.Warning,
		Message: fmt.Sprintf("there is no Node %s; its addresses, and those that it gives to pods, stay what they were last", s.node),
	}}
}

// recall finds the last state of the node if it has no object at start: it reads the rules that another
// agent left in the kernel. Without such rules nothing is known until the node has an object. It retries
// until the context ends: rules without the node would open it.
func (a *Agent) recall(ctx context.Context) {
	s := a.store
	s.mu.Lock()
	missing := s.isMissing()
	s.mu.Unlock()
	if !missing {
		return
	}
	_ = wait.PollUntilContextCancel(ctx, firstRetry, true, func(ctx context.Context) (bool, error) {
		node, err := lastKnown(ctx, a.options.Kernel, s.node)
		if err != nil {
			a.options.Log.Error(err, "Cannot find out what this node was last; the last good rules stay")
			return false, nil
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.recalled = node
		return true, nil
	})
}

func lastKnown(ctx context.Context, kernel nft.Kernel, name string) (*corev1.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	contents, err := kernel.Contents(ctx, true)
	if err != nil {
		return nil, fmt.Errorf("listing the table that was left: %w", err)
	}
	return compile.NodeIn(contents, name), nil
}
