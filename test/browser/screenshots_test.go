package browser

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

var update = flag.Bool("update", false, "take the screenshot of docs/ anew")

const (
	samples, pictures = "../../config/samples", "../../docs/pictures"
	width, height     = 1100, 620
	// mostBytes is how large a screenshot may be: they are in the repository for good.
	mostBytes = 100 << 10
)

// The screenshot of docs/start/plugin.md is of the page of the sample. Another browser draws other pixels, so they are not
// compared; the page that it shows is, by its hash.
func TestTheScreenshotIsOfThePage(t *testing.T) {
	ctx := browser(t)
	t.Chdir(samples) // as deep as this folder, and the page names files as they are given
	address := page(t, "shop.yaml")
	text, err := os.ReadFile(strings.TrimPrefix(address, "file://"))
	if err != nil {
		t.Fatal(err)
	}
	hash := fmt.Sprintf("%x\n", sha256.Sum256(text))
	file, of := filepath.Join(pictures, "map.png"), filepath.Join(pictures, "map.sha256")
	if *update {
		var shot []byte
		if err := chromedp.Run(ctx, chromedp.EmulateViewport(width, height), chromedp.Navigate(address),
			chromedp.WaitVisible("svg.lr", chromedp.ByQuery), chromedp.CaptureScreenshot(&shot)); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string][]byte{file: shot, of: []byte(hash)} {
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	shot, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if size := picture.Bounds().Size(); size.X != width || size.Y != height || len(shot) > mostBytes {
		t.Errorf("%s: %d × %d, %d bytes", file, size.X, size.Y, len(shot))
	}
	shown, err := os.ReadFile(of)
	if err != nil {
		t.Fatal(err)
	}
	if string(shown) != hash {
		t.Errorf("%s shows an earlier page: go -C test test ./browser -run Screenshot -update, and look at it", file)
	}
}
