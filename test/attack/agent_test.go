package attack

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// kernel opens the table of the node, until close is called.
func (s *scene) kernel(options ...nft.Option) (kernel nft.Kernel, shut func()) {
	s.t.Helper()
	s.in(lab.Host{NS: s.lab.Node}, func() (err error) {
		kernel, err = nft.Open(compile.TableFamily, compile.TableName, options...)
		return err
	})
	return kernel, func() { lab.Must(s.t, kernel.(io.Closer).Close()) }
}

// runAgent runs a whole agent on the node, over an API server that is not real, until stop is called. It
// returns once the rules are there.
func (s *scene) runAgent(objects reach.Snapshot, o agent.Options, options ...nft.Option) (_ kubernetes.Interface, stop func()) {
	s.t.Helper()
	kernel, shut := s.kernel(options...)
	objects.Nodes = objects.Nodes[:1] // it asks for its own by a field, for which the fake does not look
	api := fake.NewClientset(runtimeObjects(objects)...)
	o.Node, o.Client, o.Kernel, o.Log = lab.NodeName, api, kernel, logr.Discard()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- agent.Run(ctx, o) }()
	stop = func() {
		cancel()
		lab.Must(s.t, <-done)
		shut()
	}
	s.eventually("the rules are there", func() bool { return len(s.contents().Chains) > 0 })
	// What changes between a list and its watch is lost on whoever asks an API server that is not real.
	s.eventually("the agent watches", func() bool {
		watched := map[string]bool{}
		for _, a := range api.Actions() {
			if a.GetVerb() == "watch" {
				watched[a.GetResource().Resource] = true
			}
		}
		return watched["nodes"] && watched["namespaces"] && watched["pods"] && watched["networkpolicies"]
	})
	return api, stop
}

func runtimeObjects(s reach.Snapshot) (out []runtime.Object) {
	for _, o := range s.Nodes {
		out = append(out, o)
	}
	for _, o := range s.Namespaces {
		out = append(out, o)
	}
	for _, o := range s.Pods {
		out = append(out, o)
	}
	for _, o := range s.Policies {
		out = append(out, o)
	}
	return out
}

// contents are what the kernel holds of the table, with elements.
func (s *scene) contents() nft.Contents {
	s.t.Helper()
	kernel, shut := s.kernel()
	defer shut()
	contents, err := kernel.Contents(s.t.Context(), true)
	lab.Must(s.t, err)
	return contents
}

// eventually waits for what must come soon.
func (s *scene) eventually(what string, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("not soon: %s", what)
		}
	}
}

// A firewall that restarts flushes what all others have written.
func TestFlush(t *testing.T) {
	run(t, attack{
		name: "TCP to a port that is not allowed, after nft flush ruleset", by: withoutCapabilities, policies: []policies{defaults()[0]},
		rules: func(s *scene, a attack, p policies) (stop func()) {
			kernel, shut := s.kernel(nft.Owned)
			owned := kernel.(interface{ IsOwned() bool }).IsOwned()
			if shut(); !owned {
				s.t.Skip("needs Linux 6.9: tables with owners")
			}
			_, stop = s.runAgent(s.objects(a, p), agent.Options{}, nft.Owned)
			return stop
		},
		try: func(s *scene) bool {
			s.lab.NFT(s.t, "flush ruleset")
			return stealsFromVictim(s)
		},
		bare: func(*scene) {}, // without an enforcer that owns the table, the flush removes it
	})
}
