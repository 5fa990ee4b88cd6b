package api

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/semaphore"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
)

const (
	// mostOfOne is how many requests of one user are answered at once.
	mostOfOne = 4
	// mostTurns is how many lists are in memory at once, from when nodes are asked until the last byte is sent. A list is some
	// megabytes long at most: a replica has room for these.
	mostTurns = 12
	// mostMade is how many of these are being made: a long list takes several times its length then. It is not less, because a
	// list waits for the slowest of its nodes.
	mostMade = 6
	// retryAfter is when to try again, in seconds.
	retryAfter = 1
)

// turns bound what all requests together take. Whoever reads slowly keeps his turn, and no more than those of one user.
type turns struct {
	all, made *semaphore.Weighted

	mutex sync.Mutex
	of    map[string]int
}

func newTurns() *turns {
	return &turns{all: semaphore.NewWeighted(mostTurns), made: semaphore.NewWeighted(mostMade), of: map[string]int{}}
}

// own takes one of somebody's turns, or says that he has all of them; leave gives it back.
func (t *turns) own(who user.Info) (leave func(), err error) {
	key := holder(who)
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.of[key] == mostOfOne {
		return nil, apierrors.NewTooManyRequests(fmt.Sprintf(
			"%s has %d requests for connections that are not answered to the end: read these, or end them", key, mostOfOne), retryAfter)
	}
	t.of[key]++
	return func() {
		t.mutex.Lock()
		defer t.mutex.Unlock()
		if t.of[key]--; t.of[key] == 0 {
			delete(t.of, key)
		}
	}, nil
}

// take waits for a turn among those of all.
func (t *turns) take(ctx context.Context) (leave func(), err error) {
	if t.all.Acquire(ctx, 1) != nil {
		return nil, busy()
	}
	return func() { t.all.Release(1) }, nil
}

// make waits until a list may be made.
func (t *turns) make(ctx context.Context) (leave func(), err error) {
	if t.made.Acquire(ctx, 1) != nil {
		return nil, busy()
	}
	return func() { t.made.Release(1) }, nil
}

func busy() error {
	return apierrors.NewTooManyRequests(
		fmt.Sprintf("others ask for connections, and took the %s that a request may wait", patience), retryAfter)
}

// holder is whose turns a user takes. Service accounts are made by the dozen, so those of a namespace are one.
func holder(who user.Info) string {
	if namespace, _, err := serviceaccount.SplitUsername(who.GetName()); err == nil {
		return serviceaccount.MakeNamespaceGroupName(namespace)
	}
	return who.GetName()
}
