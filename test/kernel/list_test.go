package kernel

import (
	"context"
	"os/exec"
	"slices"
	"strings"

	"github.com/vishvananda/netns"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

// list returns the table as nft prints it, without counters. Its objects and elements are sorted:
// nft prints them in the order in which they were made.
func list(t lab.Tester, node netns.NsHandle) string {
	t.Helper()
	var out []byte
	lab.Must(t, network.In(node, func() (err error) {
		cmd := exec.CommandContext(context.Background(), "nft", "--stateless", "list", "table", string(compile.TableFamily), compile.TableName)
		out, err = cmd.Output()
		return err
	}))
	// The first object follows the table's own lines without a gap.
	text := strings.NewReplacer("\n\tset ", "\n\n\tset ", "\n\tmap ", "\n\n\tmap ", "\n\tchain ", "\n\n\tchain ").
		Replace(strings.TrimSuffix(string(out), "}\n"))
	objects := strings.FieldsFunc(strings.ReplaceAll(text, "\n\n", "\x00"), func(r rune) bool { return r == 0 })
	for i, object := range objects {
		head, elements, isSet := strings.Cut(object, "elements = {")
		if !isSet {
			continue
		}
		words := strings.Split(strings.Join(strings.Fields(strings.Trim(elements, "}\n\t ")), " "), ",")
		for j := range words {
			words[j] = strings.Trim(words[j], " }")
		}
		slices.Sort(words)
		objects[i] = head + strings.Join(words, "\n")
	}
	for i := range objects {
		objects[i] = strings.Trim(objects[i], "\n")
	}
	slices.Sort(objects)
	return strings.Join(objects, "\n\n")
}
