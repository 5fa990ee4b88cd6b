package api_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/internal/connections/api"
)

// lister has as many connections as it says, each about a kilobyte long.
type lister int

func (n lister) List(context.Context, string, time.Time) (list connections.ConnectionList) {
	for i := range int(n) {
		end := connections.End{Address: "10.0.0.1", Namespace: "shop", Workload: strings.Repeat("w", 150)}
		end.Pod = fmt.Sprint(strings.Repeat("p", 150), i)
		list.Items = append(list.Items, connections.Connection{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("c", i)}, Verdict: connections.Denied, Node: "n1",
			Source: end, Destination: end, Protocol: "TCP",
		})
	}
	return list
}

func everywhere(context.Context, user.Info, string) (bool, error) { return true, nil }

// slow is a server whose clients have little room for what they do not read.
func slow(t *testing.T, o api.Options) (url string, client *http.Client) {
	t.Helper()
	o.Authenticator, o.MayList, o.Log = byHeader, everywhere, testr.New(t)
	server := httptest.NewUnstartedServer(api.New(o))
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		_ = c.(*net.TCPConn).SetWriteBuffer(4 << 10) // else the kernel holds the answer
		return ctx
	}
	server.Start()
	t.Cleanup(server.Close)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		}
		return conn, err
	}
	transport := &http.Transport{MaxIdleConns: -1, ReadBufferSize: 4 << 10, DialContext: dial}
	t.Cleanup(transport.CloseIdleConnections)
	return server.URL + prefix + "/connections", &http.Client{Transport: transport}
}

// begun is an answer whose body nobody reads.
type begun struct {
	code   int
	header http.Header
	end    func()
}

func start(t *testing.T, client *http.Client, url, who string) begun {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Error(err)
		return begun{}
	}
	request.Header.Set("X-Remote-User", who)
	response, err := client.Do(request)
	if err != nil {
		t.Error(err)
		return begun{}
	}
	end := func() { response.Body.Close() }
	t.Cleanup(end)
	return begun{response.StatusCode, response.Header, end}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // what pools hold goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// However many read slowly, the full lists in memory are as many as there are turns, and the rest is told to come again.
func TestSlowReadersTakeTheMemoryOfTheirTurns(t *testing.T) {
	url, client := slow(t, api.Options{Lister: lister(5000)})
	before := heap()
	const users, each = 16, 6
	var mutex sync.Mutex
	codes, retry := map[int]int{}, 0
	var held []begun
	var asking sync.WaitGroup
	for i := range users * each {
		asking.Go(func() {
			answer := start(t, client, url, fmt.Sprint("user-", i%users))
			mutex.Lock()
			defer mutex.Unlock()
			codes[answer.code]++
			if answer.header.Get("Retry-After") != "" {
				retry++
			}
			if answer.code == http.StatusOK {
				held = append(held, answer)
			}
		})
	}
	asking.Wait()
	took := heap() - before
	t.Logf("%d slow readers: %v, %d MiB", users*each, codes, took>>20)
	answered := codes[http.StatusOK] // on a slow machine others give up before theirs is made
	if answered == 0 || answered > 12 || codes[http.StatusTooManyRequests] != users*each-answered || retry != users*each-answered {
		t.Errorf("answers %v, %d of them with the time to try again", codes, retry)
	}
	if took > 12*8<<20 {
		t.Errorf("%d slow readers take %d MiB", users*each, took>>20)
	}
	for _, answer := range held { // who goes makes way
		answer.end()
	}
	if after := start(t, client, url, "user-0"); after.code != http.StatusOK {
		t.Errorf("later somebody gets %d", after.code)
	}
}

// Who does not read is cut off after a time that goes with the length of the answer, and leaves his turn.
func TestWhoDoesNotReadIsCutOff(t *testing.T) {
	url, client := slow(t, api.Options{Lister: lister(1000), LeastTime: 10 * time.Millisecond})
	for range 4 {
		start(t, client, url, "slow")
	}
	if fifth := start(t, client, url, "slow"); fifth.code != http.StatusTooManyRequests {
		t.Errorf("a fifth request gets %d", fifth.code)
	}
	began := time.Now()
	for start(t, client, url, "slow").code != http.StatusOK {
		if time.Since(began) > 20*time.Second {
			t.Fatal("those who do not read keep their turns")
		}
		time.Sleep(100 * time.Millisecond) //nolint:forbidigo // the time that passes is what is tried
	}
	t.Logf("cut off after %v", time.Since(began).Round(100*time.Millisecond))
}

// blocked is a lister that answers when it is told to.
type blocked chan struct{}

func (b blocked) List(context.Context, string, time.Time) connections.ConnectionList {
	<-b
	return connections.ConnectionList{}
}

// The service accounts of a namespace, which whoever owns it makes as he likes, have no more turns than a person.
func TestOneUserHasFewTurns(t *testing.T) {
	b, entered := make(blocked), make(chan struct{}, 10)
	mayList := func(context.Context, user.Info, string) (bool, error) { // asked of who has a turn
		entered <- struct{}{}
		return true, nil
	}
	handler := api.New(api.Options{Lister: b, Authenticator: byHeader, MayList: mayList, Log: testr.New(t)})
	ask := func(who string) *httptest.ResponseRecorder {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, prefix+"/connections", nil)
		request.Header.Set("X-Remote-User", who)
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, request)
		return response
	}
	var asking sync.WaitGroup
	answered := func(who string) {
		asking.Go(func() {
			if response := ask(who); response.Code != http.StatusOK {
				t.Errorf("%s gets %d %s", who, response.Code, response.Body)
			}
		})
		<-entered
	}
	for i := range 4 {
		answered(fmt.Sprint("system:serviceaccount:shop:", i))
	}
	refused := ask("system:serviceaccount:shop:4")
	if refused.Code != http.StatusTooManyRequests || refused.Header().Get("Retry-After") != "1" ||
		!strings.Contains(refused.Body.String(), "system:serviceaccounts:shop has 4 requests") {
		t.Errorf("a fifth gets %d %v %s", refused.Code, refused.Header(), refused.Body)
	}
	answered("somebody")
	answered("system:serviceaccount:bank:0")
	close(b)
	asking.Wait()
	answered("system:serviceaccount:shop:4")
	asking.Wait()
}
