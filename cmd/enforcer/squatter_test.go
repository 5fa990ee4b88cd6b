package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/apptier/apptier/internal/testenv/apiserver"
	"github.com/apptier/apptier/internal/testenv/network"
)

// squats makes this test a process that takes what any process of a node may take.
const squats = "APPTIER_TEST_SQUATS"

// names are all that an enforcer, this one or an earlier one, could be kept from by others.
var names = []struct{ network, address string }{{"tcp", "127.0.0.1:9808"}, {"tcp", "127.0.0.1:9809"}, {"unix", "@apptier-enforcer"}}

func TestMain(m *testing.M) {
	if os.Getenv(squats) == "" {
		os.Exit(m.Run())
	}
	for _, n := range names {
		if _, err := net.Listen(n.network, n.address); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	fmt.Println("squats")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// Nobody but root keeps the enforcer from enforcing: not by its ports, and not by pretending to be another
// one. When the ports are free again it answers there.
func TestASquatterDoesNotStopEnforcement(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	config, environment := apiserver.Start(t)
	node, err := network.NewNamespace()
	must(t, err)
	defer node.Close()
	_, err = kubernetes.NewForConfigOrDie(config).CoreV1().Nodes().Create(t.Context(),
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, metav1.CreateOptions{})
	must(t, err)
	leave := squat(t, node)

	first := start(t, node, environment)
	first.awaitLog(t, "The rules are in the kernel")
	first.awaitLog(t, "reason=HealthAddressTaken")
	first.awaitLog(t, "reason=MetricsAddressTaken")

	eventually(t, "an Event on the Node", func() bool {
		events, err := kubernetes.NewForConfigOrDie(config).EventsV1().Events(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{})
		must(t, err)
		return slices.ContainsFunc(events.Items, func(e eventsv1.Event) bool {
			return e.Reason == "HealthAddressTaken" && e.Regarding.Kind == "Node" && e.Regarding.Name == "n" && strings.Contains(e.Note, "127.0.0.1:9809")
		})
	}, first.log.String)

	second := start(t, node, environment, "--run-dir="+first.directory)
	if err := second.command.Wait(); err == nil {
		t.Error("two enforcers run")
	}
	second.awaitLog(t, "another enforcer runs on this node")

	leave()
	awaitAnswer(t, node, "http://127.0.0.1:9809/readyz", "ok\n")
	awaitAnswer(t, node, "http://127.0.0.1:9808/metrics", `apptier_enforcer_warning{reason="HealthAddressTaken"} 0`)
}

// squat runs the squatter as a user without rights, until the returned function is called.
func squat(t *testing.T, node netns.NsHandle) (leave func()) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "squatter")
	must(t, os.Chmod(filepath.Dir(filepath.Dir(program)), 0o755))
	must(t, os.Chmod(filepath.Dir(program), 0o755))
	self, err := os.Executable()
	must(t, err)
	text, err := os.ReadFile(self)
	must(t, err)
	must(t, os.WriteFile(program, text, 0o755))
	command := exec.Command(program)
	command.Env = append(os.Environ(), squats+"=1")
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	stdin, err := command.StdinPipe()
	must(t, err)
	stdout, err := command.StdoutPipe()
	must(t, err)
	must(t, network.In(node, command.Start))
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "squats\n" {
		t.Fatal(line, err)
	}
	leave = sync.OnceFunc(func() { _, _ = stdin.Close(), command.Wait() })
	t.Cleanup(leave)
	return leave
}

// process is the real program on a node.
type process struct {
	command   *exec.Cmd
	directory string
	log       *log
}

func start(t *testing.T, node netns.NsHandle, environment *envtest.Environment, flags ...string) *process {
	t.Helper()
	p := &process{directory: t.TempDir(), log: &log{}}
	kubeconfig := filepath.Join(p.directory, "kubeconfig")
	must(t, os.WriteFile(kubeconfig, environment.KubeConfig, 0o600))
	program := filepath.Join(p.directory, "enforcer")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p.command = exec.CommandContext(t.Context(), program, append([]string{
		"run", "--node-name=n", "--kubeconfig=" + kubeconfig, "--nri-socket=", "--run-dir=" + p.directory,
	}, flags...)...)
	p.command.Stderr = p.log
	bridge(t, node, environment.Config.Host)
	must(t, network.In(node, p.command.Start))
	return p
}

// awaitLog waits until the log says something.
func (p *process) awaitLog(t *testing.T, text string) {
	t.Helper()
	eventually(t, text, func() bool { return strings.Contains(p.log.String(), text) }, p.log.String)
}

func awaitAnswer(t *testing.T, node netns.NsHandle, url, want string) {
	t.Helper()
	var got []byte
	ask := &http.Client{Transport: &http.Transport{DialContext: func(_ context.Context, kind, address string) (conn net.Conn, err error) {
		err = network.In(node, func() error { conn, err = net.Dial(kind, address); return err })
		return conn, err
	}}}
	eventually(t, url+" says "+want, func() bool {
		response, err := ask.Get(url)
		if err != nil {
			got = []byte(err.Error())
			return false
		}
		defer response.Body.Close()
		got, err = io.ReadAll(response.Body)
		return err == nil && bytes.Contains(got, []byte(want))
	}, func() string { return string(got) })
}

// bridge makes the API server's address reachable in a node, unless it is.
func bridge(t *testing.T, node netns.NsHandle, url string) {
	t.Helper()
	address := strings.Trim(strings.TrimPrefix(strings.TrimPrefix(url, "https:"), "http:"), "/")
	var listener net.Listener
	err := network.In(node, func() (err error) { listener, err = net.Listen("tcp", address); return err })
	if errors.Is(err, syscall.EADDRINUSE) {
		return
	}
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", address)
			if err != nil {
				_ = from.Close()
				continue
			}
			go func() { _, _ = io.Copy(to, from); _ = to.Close() }()
			go func() { _, _ = io.Copy(from, to); _ = from.Close() }()
		}
	}()
}

// log is what a process writes.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write is io.Writer's.
func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func eventually(t *testing.T, what string, is func() bool, seen func() string) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within two minutes: %s\n%s", what, seen())
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
