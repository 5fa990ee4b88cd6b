package share_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/internal/connections/share"
)

var begin = time.Date(2026, 11, 30, 14, 0, 0, 0, time.UTC)

func seen(second int, workload, pod string) connections.Connection {
	return connections.Connection{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(workload, pod, second)},
		Last:       metav1.NewMicroTime(begin.Add(time.Duration(second) * time.Second)),
		Source:     connections.End{Namespace: "shop", Pod: pod, Workload: workload, Address: "10.0.0.1"},
	}
}

// A scan of thousands of targets, by many pods of one workload, hides nobody's first denial.
func TestAScanHidesNobody(t *testing.T) {
	items := []connections.Connection{seen(0, "Deployment/web", "web-1"), seen(1, "", "job")}
	for i := range 5000 {
		items = append(items, seen(10+i, "Deployment/scan", fmt.Sprint("scan-", i%100)))
	}
	kept, left := share.Keep(items, 10, share.One)
	if len(kept) != 10 || left != len(items)-10 {
		t.Fatalf("keeps %d and leaves %d", len(kept), left)
	}
	if kept[0].Source.Pod != "web-1" || kept[1].Source.Pod != "job" || kept[9].Last != items[len(items)-1].Last {
		t.Errorf("keeps %v", kept)
	}
}

// A node that makes up thousands of sources hides nothing that other nodes saw.
func TestANodeThatLiesHidesNobody(t *testing.T) {
	items := []connections.Connection{
		seen(0, "Deployment/web", "web-1"), seen(1, "Deployment/scan", "scan-1"), seen(2, "Deployment/scan", "scan-1"),
	}
	for i := range items {
		items[i].Node = "honest"
	}
	for i := range 5000 {
		c := seen(10+i, "", fmt.Sprint("made-up-", i))
		c.Node = "lies"
		items = append(items, c)
	}
	kept, left := share.Keep(items, 10, share.One)
	if len(kept) != 10 || left != len(items)-10 {
		t.Fatalf("keeps %d and leaves %d", len(kept), left)
	}
	for i := range 3 {
		if kept[i].Name != items[i].Name {
			t.Errorf("keeps %s, and not %s", kept[i].Name, items[i].Name)
		}
	}
}

// What is kept of a part of the list leaves in what is kept of the whole, so lists may be cut as they come.
func TestCutsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var items []connections.Connection
		for i := range rapid.IntRange(0, 40).Draw(t, "connections") {
			c := seen(rapid.IntRange(0, 5).Draw(t, "second"), "", rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "pod"))
			c.Name, c.Node = fmt.Sprint("c", i), rapid.SampledFrom([]string{"n1", "n2", "n3"}).Draw(t, "node")
			items = append(items, c)
		}
		budget, cut := rapid.IntRange(0, 20).Draw(t, "budget"), rapid.IntRange(0, len(items)).Draw(t, "cut")
		first, leftAtFirst := share.Keep(items[:cut], budget, share.One)
		inTwo, left := share.Keep(append(first, items[cut:]...), budget, share.One)
		atOnce, all := share.Keep(items, budget, share.One)
		if difference := cmp.Diff(atOnce, inTwo); difference != "" || leftAtFirst+left != all {
			t.Fatalf("leaves %d and %d, and at once %d\n%s", leftAtFirst, left, all, difference)
		}
	})
}

func TestKeepsAllThatFits(t *testing.T) {
	items := []connections.Connection{seen(3, "", "a"), seen(1, "", "b"), seen(2, "", "a")}
	kept, left := share.Keep(items, 3, share.One)
	if left != 0 || len(kept) != 3 || kept[0].Last != items[1].Last || kept[2].Last != items[0].Last {
		t.Errorf("keeps %v, leaves %d", kept, left)
	}
}

// One that is too big makes no space for others, and takes none from them.
func TestABigOneHidesNobody(t *testing.T) {
	items := []connections.Connection{seen(3, "", "a"), seen(2, "", "b"), seen(1, "", "c")}
	size := func(c connections.Connection) int {
		if c.Source.Pod == "a" {
			return 100
		}
		return 1
	}
	if kept, left := share.Keep(items, 10, size); len(kept) != 2 || left != 1 {
		t.Errorf("%d are kept, %d left", len(kept), left)
	}
}
