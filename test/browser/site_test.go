package browser

import (
	"context"
	"flag"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var shots = flag.String("shots", "", "a folder for pictures of the site's pages, to look at")

// site builds the documentation's site and serves it below a path, as a forge does.
func site(t *testing.T) (address, folder string) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds Hugo, which takes minutes the first time")
	}
	folder = filepath.Join(t.TempDir(), "html")
	command := exec.CommandContext(t.Context(), "make", "-C", "../..", "docs-build", "SITE="+folder)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("building the site: %v\n%s", err, out)
	}
	server := httptest.NewServer(http.StripPrefix("/apptier/", http.FileServer(http.Dir(folder))))
	t.Cleanup(server.Close)
	return server.URL + "/apptier/", folder
}

// complaints are what a browser says about pages, by the page that it is on.
type complaints struct {
	sync.Mutex
	page string
	said []string
}

func (c *complaints) listen(ctx context.Context, address string) {
	chromedp.ListenTarget(ctx, func(event any) {
		c.Lock()
		defer c.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			c.said = append(c.said, fmt.Sprintf("%s throws: %v", c.page, e.ExceptionDetails))
		case *runtime.EventConsoleAPICalled:
			c.said = append(c.said, fmt.Sprintf("%s says on the console: %s", c.page, e.Type))
		case *log.EventEntryAdded:
			c.said = append(c.said, fmt.Sprintf("%s: %s %s", c.page, e.Entry.Text, e.Entry.URL))
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, address) && !strings.HasPrefix(e.Request.URL, "data:") {
				c.said = append(c.said, fmt.Sprintf("%s asks for %s", c.page, e.Request.URL))
			}
		}
	})
}

func (c *complaints) on(page string) {
	c.Lock()
	defer c.Unlock()
	c.page = page
}

// Every page opens without a complaint, asks nobody else for anything, and is no wider than a telephone.
func TestSite(t *testing.T) {
	address, folder := site(t)
	ctx := browser(t)
	var c complaints
	c.listen(ctx, address)
	if err := chromedp.Run(ctx, network.Enable(), log.Enable(), runtime.Enable()); err != nil {
		t.Fatal(err)
	}
	pages := pagesOf(t, folder)
	for _, page := range pages {
		c.on(page)
		if err := chromedp.Run(ctx, chromedp.EmulateViewport(1400, 900), chromedp.Navigate(address+page)); err != nil {
			t.Fatalf("%s: %v", page, err)
		}
		for _, width := range []int64{1400, 390} {
			var overflows bool
			err := chromedp.Run(ctx, chromedp.EmulateViewport(width, 900),
				chromedp.Evaluate("document.documentElement.scrollWidth > innerWidth", &overflows))
			if err != nil {
				t.Fatalf("%s: %v", page, err)
			}
			if overflows {
				t.Errorf("%s is wider than a window of %d", page, width)
			}
			shoot(ctx, t, page, width)
		}
	}
	if len(pages) < 50 {
		t.Errorf("only %d pages", len(pages))
	}
	c.Lock()
	defer c.Unlock()
	for _, what := range c.said {
		t.Error(what)
	}
}

func pagesOf(t *testing.T, folder string) []string {
	t.Helper()
	var pages []string
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".html") {
			name, _ := filepath.Rel(folder, path)
			pages = append(pages, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

var (
	link = regexp.MustCompile(`(?:href|src)="?([^"> ]+)`)
	name = regexp.MustCompile(` id="?([^"> ]+)`)
)

// Links of the site lead to pages and to headings that it has.
func TestLinksOfTheSite(t *testing.T) {
	_, folder := site(t)
	texts, names := map[string]string{}, map[string]bool{}
	for _, page := range pagesOf(t, folder) {
		text, err := os.ReadFile(filepath.Join(folder, page))
		if err != nil {
			t.Fatal(err)
		}
		texts[page] = string(text)
		for _, match := range name.FindAllStringSubmatch(string(text), -1) {
			names[page+"#"+html.UnescapeString(match[1])] = true
		}
	}
	links := 0
	for page, text := range texts {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			to, err := url.Parse(html.UnescapeString(match[1]))
			if err != nil {
				t.Errorf("%s: %v", page, err)
				continue
			}
			if to.IsAbs() {
				continue
			}
			links++
			file := page
			if to.Path != "" {
				file = path.Join(path.Dir(page), to.Path)
			}
			if _, err := os.Stat(filepath.Join(folder, file)); err != nil || to.Fragment != "" && !names[file+"#"+to.Fragment] {
				t.Errorf("%s leads to %s, which is not there", page, match[1])
			}
		}
	}
	if links < 1000 {
		t.Errorf("only %d links", links)
	}
}

// shoot takes pictures of a page in both schemes, if they are asked for.
func shoot(ctx context.Context, t *testing.T, page string, width int64) {
	t.Helper()
	if *shots == "" {
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		var picture []byte
		media := emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}})
		if err := chromedp.Run(ctx, media, chromedp.CaptureScreenshot(&picture)); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%s-%d-%s.png", strings.ReplaceAll(strings.TrimSuffix(page, ".html"), "/", "-"), width, scheme)
		if err := os.WriteFile(filepath.Join(*shots, name), picture, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Search finds pages and leads to them, by the keyboard too; the list of pages opens on a telephone.
func TestSearchOfTheSite(t *testing.T) {
	address, _ := site(t)
	ctx, stop := context.WithTimeout(browser(t), time.Minute) // what does not come is waited for
	t.Cleanup(stop)
	var first, there, again string
	var before, after bool
	err := chromedp.Run(ctx, chromedp.EmulateViewport(390, 800), chromedp.Navigate(address+"limits.html"),
		chromedp.Evaluate(`document.querySelector("nav ul").checkVisibility()`, &before),
		chromedp.Click("nav summary", chromedp.ByQuery),
		chromedp.Evaluate(`document.querySelector("nav ul").checkVisibility()`, &after),
		chromedp.SendKeys("#search", "fail failPolicy kstatus", chromedp.ByQuery),
		chromedp.WaitVisible("#results .none", chromedp.ByQuery),
		chromedp.Evaluate(`document.getElementById("search").value = ""`, nil),
		chromedp.SendKeys("#search", "kstatus flux", chromedp.ByQuery),
		chromedp.WaitVisible("#results a", chromedp.ByQuery),
		chromedp.Text("#results a b", &first, chromedp.ByQuery),
		chromedp.Click("#results a", chromedp.ByQuery),
		chromedp.WaitVisible("h1", chromedp.ByQuery),
		chromedp.Location(&there),
		chromedp.Navigate(address+"design/index.html"),
		chromedp.SendKeys("#search", "kstatus flux", chromedp.ByQuery),
		chromedp.WaitVisible("#results a", chromedp.ByQuery),
		chromedp.AttributeValue("#results a", "href", &again, nil, chromedp.ByQuery),
	)
	if err != nil {
		t.Fatal(err)
	}
	if before || !after {
		t.Errorf("the list of pages is shown: %t, and once opened: %t", before, after)
	}
	if first != "AppTiers from Git" || there != address+"gitops.html" || again != there {
		t.Errorf("found %q at %s and %s", first, there, again)
	}
}
