// Command first shows what is known of the demo's application without a cluster, before the demo and its cluster are built.
package main

import (
	"fmt"
	"os"

	"github.com/apptier/apptier/test/demo/preview"
)

func main() {
	const sample = "config/samples/shop.yaml"
	text, err := os.ReadFile("../" + sample) // this runs in the folder of the tests' module
	if err == nil {
		err = preview.Write(os.Stdout, sample, text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}
