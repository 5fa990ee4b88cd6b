package cluster

import (
	"strings"
	"testing"
	"time"

	"github.com/apptier/apptier/test/cluster/host"
)

func TestStateSurvivesWriting(t *testing.T) {
	dir := t.TempDir()
	want := state{Name: "a", Created: time.Now().UTC().Truncate(time.Second), Shape: Shape{Nodes: 3, Proxy: ProxyIPTables, CNI: CNIBridge},
		Inits: map[string]host.Process{"n1": {PID: 5, Started: 6}}}
	if err := want.write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := readState(dir)
	if err != nil || got.Shape != want.Shape || got.Inits["n1"] != want.Inits["n1"] || !got.Created.Equal(want.Created) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func TestOptions(t *testing.T) {
	o := Options{}
	if err := o.complete(); err != nil || o.Nodes != 2 || o.Proxy != ProxyNFTables || o.CNI != CNIPtp || o.IPFamily != IPv4 {
		t.Errorf("the zero options become %+v, %v", o, err)
	}
	for _, bad := range []Options{
		{Name: "Upper"}, {Name: "-a"}, {Name: strings.Repeat("a", 25)}, {Name: "../up"},
		{Shape: Shape{Nodes: -1}}, {Shape: Shape{Nodes: 1000}}, {Shape: Shape{Proxy: "ipvs"}}, {Shape: Shape{CNI: "vxlan"}},
		{Shape: Shape{IPFamily: "ipx"}},
	} {
		if err := bad.complete(); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
