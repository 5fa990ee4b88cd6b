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
	// held is how many units the answers take that are done.
	held int
}

// given is an answer, once it is done.
type given struct {
	asked time.Time
	done  chan struct{}
	list  connections.ConnectionList
	err   error
	units int
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
		m.keep(q, to)
		close(to.done)
	}()
	return to
}

// keep remembers an answer that has come, if there is room: else only those have it who wait for it.
func (m *memory) keep(q question, answer *given) {
	m.mu.Lock()
	defer m.mu.Unlock()
	answer.units = 1 + unitsOf(answer.list.Items)
	if m.held+answer.units > mostRemembered {
		delete(m.answers, q)
		return
	}
	m.held += answer.units
}

// forget drops what is old.
func (m *memory) forget(now time.Time) {
	for q, answer := range m.answers {
		if answer.units == 0 {
			continue // to come
		}
		lasts := remember
		if answer.err != nil {
			lasts = rememberLate
		}
		if now.Sub(answer.asked) >= lasts || now.Before(answer.asked) {
			delete(m.answers, q)
			m.held -= answer.units
		}
	}
}
