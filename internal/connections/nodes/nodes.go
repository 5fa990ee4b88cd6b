// Package nodes asks the enforcers of nodes for the connections that they saw, and makes one list of the answers.
//
// It believes a node about what that node saw, and nothing else: which node answers is known by the fingerprint of
// its certificate. A node that does not answer in time is named in the list.
package nodes

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/internal/connections/share"
)

// Node is where to ask.
type Node struct {
	Name string
	// Address is the host:port of its enforcer; empty if that is not known.
	Address string
	// Fingerprint is the SHA-256 of the enforcer's certificate, in hexadecimal.
	Fingerprint string
	// Refused is why the manager does not ask where the enforcer says that it answers; empty if it does.
	Refused string
}

const (
	// usualDeadline is how long all nodes of a list have.
	usualDeadline = 1500 * time.Millisecond
	// remember is how long an answer serves others who ask the same.
	remember = 500 * time.Millisecond
	// rememberLate is how long a node that gave none is not asked the same again: else everybody who asks waits for it.
	rememberLate = 5 * time.Second
	// atOnce is how many nodes are asked at once, for all lists together.
	atOnce = 32
	// mostBytes is how long the answer of a node may be.
	mostBytes = 1 << 20
	// most is how many connections a list has, if none is longer than a unit: of longer ones it has fewer.
	most = 5000
	// unit is what a usual connection takes, in bytes of JSON. In memory it is about as much.
	unit = 1 << 10
	// mostRemembered is how many units the answers take that are remembered.
	mostRemembered = 2 * most
)

// Asker asks nodes.
type Asker struct {
	// Nodes are those that may have seen connections of a namespace, or of all without one, those that matter most first;
	// and how many others are left out.
	Nodes func(ctx context.Context, namespace string) (asked []Node, left int, err error)
	// Certificate shows enforcers that it is the manager who asks.
	Certificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
	Now         func() time.Time
	// Deadline is how long all nodes of a list have to answer; a second and a half if it is 0.
	Deadline time.Duration

	begin  sync.Once
	client *http.Client
	turns  *semaphore.Weighted
	memory memory
}

func (a *Asker) start() {
	a.Deadline = cmp.Or(a.Deadline, usualDeadline)
	a.client = &http.Client{
		Transport:     &http.Transport{DialTLSContext: a.dial, MaxIdleConns: mostWithout, MaxConnsPerHost: 2, IdleConnTimeout: 30 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	a.turns = semaphore.NewWeighted(atOnce)
}

// List asks the nodes of a namespace for the connections seen since a time, the latest last.
func (a *Asker) List(ctx context.Context, namespace string, since time.Time) connections.ConnectionList {
	a.begin.Do(a.start)
	ctx, cancel := context.WithTimeout(ctx, a.Deadline)
	defer cancel()
	asked, left, err := a.Nodes(ctx, namespace)
	if err != nil {
		return connections.ConnectionList{Missing: []connections.Missing{{Reason: "which nodes there are is not known now"}}}
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var all merging
	for _, node := range asked {
		running.Go(func() {
			answer, err := a.ask(ctx, question{node, namespace, windowOf(since, a.Now())})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				all.miss(node, err)
				return
			}
			all.add(answer, since)
		})
	}
	running.Wait()
	list := all.list()
	if left > 0 { // these do not judge what the namespace's policies say
		list.Notes = []string{fmt.Sprintf("%d nodes without pods of the namespace are not asked", left)}
	}
	return list
}

// windowOf rounds a time down to one of few, so that who asks again and again asks the same.
func windowOf(since, now time.Time) time.Duration {
	for _, window := range []time.Duration{time.Minute, 10 * time.Minute, time.Hour} {
		if !since.Before(now.Add(-window)) {
			return window
		}
	}
	return 0
}

// merging is a list that answers are added to.
type merging struct {
	items   []connections.Connection
	units   int
	missing []connections.Missing
	left    int64
}

func (m *merging) miss(node Node, err error) {
	m.missing = append(m.missing, connections.Missing{Node: node.Name, Reason: err.Error()})
}

func (m *merging) add(answer connections.ConnectionList, since time.Time) {
	m.missing = append(m.missing, answer.Missing...)
	for _, c := range answer.Items {
		if !c.Last.Time.Before(since) {
			m.items, m.units = append(m.items, c), m.units+sizeOf(c)
		}
	}
	if m.units > 2*most {
		m.trim()
	}
}

// trim cuts the list to what fits. Each connection counts as the word of the node that told it.
func (m *merging) trim() {
	kept, left := share.Keep(m.items, most, sizeOf)
	m.items, m.units, m.left = kept, unitsOf(kept), m.left+int64(left)
}

// list is everything that fits. What fits is decided before several nodes' words become one, so no node's takes the place that
// another's has.
func (m *merging) list() connections.ConnectionList {
	m.trim()
	m.items = merge(m.items)
	if m.left > 0 {
		m.missing = append(m.missing, connections.Missing{Reason: fmt.Sprintf("no more than %d connections are listed", most), Count: m.left})
	}
	slices.SortFunc(m.missing, func(a, b connections.Missing) int {
		return strings.Compare(a.Node+"\x00"+a.Reason, b.Node+"\x00"+b.Reason)
	})
	return connections.ConnectionList{Items: m.items, Missing: m.missing}
}
