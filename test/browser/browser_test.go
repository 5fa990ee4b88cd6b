// Package browser opens what "kubectl apptier map -o html" writes in a browser.
package browser

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/internal/cli"
)

// browser starts one that may ask nothing of a network.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed: make prerequisites does it")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, done := chromedp.NewContext(ctx)
	t.Cleanup(done)
	return ctx
}

// page writes the map of manifests.
func page(t *testing.T, manifests string) string {
	t.Helper()
	streams, _, out, errOut := genericiooptions.NewTestIOStreams()
	command := cli.NewCommand(streams)
	command.SetArgs([]string{"map", manifests, "-o", "html", "--denied"})
	if err := command.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, errOut)
	}
	file := filepath.Join(t.TempDir(), "reach.html")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + file
}

// The page opens without errors and asks for nothing else, in each window and both schemes, and search and focus work.
func TestMap(t *testing.T) {
	ctx := browser(t)
	address := page(t, "../../internal/cli/testdata/input/map.yaml")
	chromedp.ListenTarget(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("the page throws: %v", e.ExceptionDetails)
		case *log.EventEntryAdded:
			t.Errorf("the page complains: %s %s", e.Entry.Text, e.Entry.URL)
		case *network.EventRequestWillBeSent:
			if e.Request.URL != address && e.Request.URL != "data:," {
				t.Errorf("the page asks for %s", e.Request.URL)
			}
		}
	})
	for _, window := range []struct {
		width  int64
		shown  string
		scheme string
	}{{1400, "svg.lr", "light"}, {1400, "svg.lr", "dark"}, {400, "svg.tb", "light"}, {400, "svg.tb", "dark"}} {
		scheme := emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: window.scheme}})
		var overflows bool
		var all, found, focused, again, title string
		err := chromedp.Run(ctx, network.Enable(), log.Enable(), chromedp.EmulateViewport(window.width, 900), scheme,
			chromedp.Navigate(address),
			chromedp.WaitVisible(window.shown, chromedp.ByQuery),
			chromedp.Evaluate("document.documentElement.scrollWidth > innerWidth", &overflows),
			chromedp.Evaluate(`document.getElementById("count").textContent`, &all),
			chromedp.SendKeys("#search", "DATABASE", chromedp.ByQuery),
			chromedp.Evaluate(`document.getElementById("count").textContent`, &found),
			chromedp.Click("#clear", chromedp.ByQuery),
			chromedp.Click(window.shown+` .node[data-node="2"]`, chromedp.ByQuery),
			chromedp.Evaluate(`document.getElementById("title").textContent`, &title),
			chromedp.Evaluate(`document.getElementById("count").textContent`, &focused),
			chromedp.KeyEvent("\x1b"),
			chromedp.Evaluate(`document.getElementById("count").textContent`, &again),
		)
		if err != nil {
			t.Fatalf("%d columns, %s: %v", window.width, window.scheme, err)
		}
		got := []string{all, found, title, focused, again}
		want := []string{
			"9 nodes, 8 connections, 5 not known", "5 of 9 nodes, 2 of 8 connections, 2 not known", "Connections of api",
			"6 of 9 nodes, 4 of 8 connections, 3 not known", all,
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%d columns, %s: %q, want %q", window.width, window.scheme, got[i], want[i])
			}
		}
		if overflows {
			t.Errorf("%d columns: the page is wider than the window", window.width)
		}
	}
}
