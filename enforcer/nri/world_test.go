package nri_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/apptier/apptier/enforcer/nri"
)

// world is a plugin that runs, and what comes of it.
type world struct {
	*nri.Plugin
	ready atomic.Bool
	asked atomic.Int32 // how often it was asked whether the agent is ready

	mu        sync.Mutex
	announced []nri.Pod
	logged    []string
	answer    func(context.Context, nri.Pod) error // nil is success at once
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	w.ready.Store(true)
	w.Plugin = &nri.Plugin{
		Socket:   filepath.Join(t.TempDir(), "nri.sock"),
		Announce: w.hear, Metrics: nri.NewMetrics(),
		Log: funcr.New(func(_, line string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.logged = append(w.logged, line)
		}, funcr.Options{}),
	}
	w.Ready = func() bool {
		w.asked.Add(1)
		return w.ready.Load()
	}
	return w
}

// start runs the plugin until the test ends.
func (w *world) start(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		w.Run(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
}

func (w *world) hear(ctx context.Context, pod nri.Pod) error {
	w.mu.Lock()
	w.announced = append(w.announced, pod)
	answer := w.answer
	w.mu.Unlock()
	if answer == nil {
		return nil
	}
	return answer(ctx, pod)
}

func (w *world) answers(answer func(context.Context, nri.Pod) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = answer
}

// heard returns what was announced since it was asked last.
func (w *world) heard() []nri.Pod {
	w.mu.Lock()
	defer w.mu.Unlock()
	pods := w.announced
	w.announced = nil
	return pods
}

// lines counts the lines of the log that contain a text.
func (w *world) lines(text string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, line := range w.logged {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// results are how many pods were announced, by how that ended.
func (w *world) results(t *testing.T) map[string]int {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(w.Metrics.Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]int{}
	for _, family := range families {
		if family.GetName() != "apptier_enforcer_announced_pods_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			results[metric.GetLabel()[0].GetValue()] = int(metric.GetCounter().GetValue())
		}
	}
	return results
}

// startRuntime starts the half of NRI that containerd has.
func (w *world) startRuntime(t *testing.T) *adaptation.Adaptation {
	t.Helper()
	none := t.TempDir()
	runtime, err := adaptation.New("containerd", "v2.0.0",
		func(ctx context.Context, sync adaptation.SyncCB) error {
			_, err := sync(ctx, []*adaptation.PodSandbox{sandbox("before", "10.244.1.2")}, nil)
			return err
		},
		func(context.Context, []*adaptation.ContainerUpdate) ([]*adaptation.ContainerUpdate, error) {
			return nil, nil
		},
		adaptation.WithSocketPath(w.Socket), adaptation.WithPluginPath(none), adaptation.WithPluginConfigPath(none))
	if err != nil {
		t.Fatal(err)
	}
	if err := runtime.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(runtime.Stop)
	return runtime
}

// connected waits until a runtime asks the plugin, and forgets what it asked.
func (w *world) connected(t *testing.T, runtime *adaptation.Adaptation) {
	t.Helper()
	eventually(t, "the plugin is asked", func() bool {
		run(t, runtime, sandbox("probe", "10.244.1.3"))
		return len(w.heard()) > 0
	})
}

func run(t *testing.T, runtime *adaptation.Adaptation, pod *adaptation.PodSandbox) {
	t.Helper()
	if err := runtime.RunPodSandbox(t.Context(), &adaptation.RunPodSandboxRequest{Pod: pod}); err != nil {
		t.Errorf("the pod %s does not start: %v", pod.Name, err)
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, 20*time.Second, true,
		func(context.Context) (bool, error) { return condition(), nil })
	if err != nil {
		t.Fatalf("waiting until %s: %v", what, err)
	}
}

// sandbox is a pod as containerd shows it.
func sandbox(name string, addresses ...string) *adaptation.PodSandbox {
	return &adaptation.PodSandbox{
		Id: "id-of-" + name, Name: name, Namespace: "shop", Uid: "uid-of-" + name, Ips: addresses,
		Labels: map[string]string{"app": name},
		Linux:  &adaptation.LinuxPodSandbox{Namespaces: []*adaptation.LinuxNamespace{{Type: "ipc"}, {Type: "network", Path: "/var/run/netns/" + name}}},
	}
}
