package preview

import (
	"bytes"
	"os"
	"testing"

	"gotest.tools/v3/golden"
)

// Whatever is shown is true of the sample as it is.
func TestWrite(t *testing.T) {
	const sample = "config/samples/shop.yaml"
	text, err := os.ReadFile("../../../" + sample)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Write(&out, sample, text); err != nil {
		t.Fatal(err)
	}
	golden.Assert(t, out.String(), "shop.txt")
}
