package share_test

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
