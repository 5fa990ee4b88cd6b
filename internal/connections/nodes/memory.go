package nodes

import (
	"sync"
	"time"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// memory has the answers of just now, so that many who look at the same cost a node as much as one.
type memory struct {
	mu      sync.Mutex
	answers map[question]*given
}

// given is an answer, once it is done.
type given struct {
	asked time.Time
	done  chan struct{}
	list  connections.ConnectionList
	err   error
}

// recall returns an answer of just now, or one that is to come.
func (m *memory) recall(q question, now time.Time, ask func() (connections.ConnectionList, error)) *given {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(now)
	if known, found := m.answers[q]; found {
		return known
	}
	if m.answers == nil {
		m.answers = map[question]*given{}
	}
	to := &given{asked: now, done: make(chan struct{})}
	m.answers[q] = to
	go func() {
		to.list, to.err = ask()
		close(to.done)
	}()
	return to
}

// forget drops what is old, and everything if it is too much.
func (m *memory) forget(now time.Time) {
	held := 0
	for q, answer := range m.answers {
		select {
		case <-answer.done:
		default:
			continue // to come
		}
		if now.Sub(answer.asked) >= remember || now.Before(answer.asked) {
			delete(m.answers, q)
			continue
		}
		held += len(answer.list.Items)
	}
	if held > mostRemembered {
		clear(m.answers)
	}
}
