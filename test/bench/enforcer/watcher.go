package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// watcher notes when changes of the namespace home reach a client that watches, as the agent does.
type watcher struct {
	mu   sync.Mutex
	seen map[change]time.Time
}

// change is a change of an object.
type change struct {
	kind watch.EventType
	name string
}

func newWatcher(ctx context.Context, c kubernetes.Interface) (*watcher, error) {
	w := &watcher{seen: map[change]time.Time{}}
	policies, err := c.NetworkingV1().NetworkPolicies(home).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing policies: %w", err)
	}
	pods, err := c.CoreV1().Pods(home).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	for _, from := range []struct {
		version string
		watch   cache.WatchFuncWithContext
	}{
		{policies.ResourceVersion, c.NetworkingV1().NetworkPolicies(home).Watch},
		{pods.ResourceVersion, c.CoreV1().Pods(home).Watch},
	} {
		// The API server ends watches when it is very busy.
		watcher, err := watchtools.NewRetryWatcherWithContext(ctx, from.version, &cache.ListWatch{WatchFuncWithContext: from.watch})
		if err != nil {
			return nil, fmt.Errorf("watching: %w", err)
		}
		go w.follow(watcher.ResultChan())
	}
	return w, nil
}

func (w *watcher) follow(events <-chan watch.Event) {
	for event := range events {
		now := time.Now()
		object, err := meta.Accessor(event.Object)
		if err != nil {
			continue
		}
		w.mu.Lock()
		w.seen[change{event.Type, object.GetName()}] = now
		w.mu.Unlock()
	}
}

// after returns when a change was seen, which must be after a moment.
func (w *watcher) after(ctx context.Context, c change, moment time.Time) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, never)
	defer cancel()
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		w.mu.Lock()
		seen := w.seen[c]
		w.mu.Unlock()
		if seen.After(moment) {
			return seen, nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, errors.Join(fmt.Errorf("the watch tells nothing of %s, %s", c.name, c.kind), context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
