package nodes

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// What a node that was taken over may send costs no more memory than what an honest one does.
func TestAnswersAreReadWithinBounds(t *testing.T) {
	many := func(one string, n int) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	for _, test := range []struct {
		name, text string
		items      int
		isRead     bool
	}{
		{"an honest one", `{"kind": "ConnectionList", "metadata": {"x": [1]}, "items": [{"port": 1}, {"port": 2}], "missing": [{"node": "a"}]}`, 2, true},
		{"without a connection", `{"items": null}`, 0, true},
		{"as many as are listed", `{"items": [` + many(`{}`, most) + `]}`, most, true},
		{"more", `{"items": [` + many(`{}`, most+1) + `]}`, 0, false},
		{"more that is missing", `{"missing": [` + many(`{}`, mostMissing+1) + `]}`, 0, false},
		{"cut off", `{"items": [{"port": 1}`, 0, false},
		{"no object", `[]`, 0, false},
		{"no list", `{"items": {}}`, 0, false},
		{"another type", `{"items": [{"port": "web"}]}`, 0, false},
	} {
		got, err := readAnswer(strings.NewReader(test.text))
		if (err == nil) != test.isRead || err == nil && len(got.Items) != test.items {
			t.Errorf("%s: %d items, %v", test.name, len(got.Items), err)
		}
	}
}

// A node speaks for itself and for the past, and what is stored or printed of it is short and has no control characters.
func TestWhatIsBelieved(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	sound := connections.Connection{
		ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "shop", Labels: map[string]string{"x": "y"}},
		Verdict:    connections.WouldDeny, Direction: connections.Ingress, Protocol: "TCP", Node: "another",
		First: metav1.NewMicroTime(now.Add(-time.Hour)), Last: metav1.NewMicroTime(now.AddDate(900, 0, 0)),
		Source:      connections.End{Address: "10.0.0.1", Namespace: "shop", Pod: "web", Workload: "X/\x1b[2J"},
		Destination: connections.End{Address: "10.0.0.2"},
		Because:     []connections.PolicyReference{{Kind: "StagedNetworkPolicy", Name: "a"}},
	}
	one := heard("n1", connections.ConnectionList{Items: []connections.Connection{sound}}, now).Items[0]
	if one.Node != "n1" || !one.Last.Time.Equal(now) || len(one.Labels) > 0 || one.Source.Workload != "" || one.Source.Pod != "web" {
		text, _ := json.Marshal(one) //nolint:errchkjson // for people
		t.Errorf("believed is %s", text)
	}
	for name, change := range map[string]func(*connections.Connection){
		"a long protocol":       func(c *connections.Connection) { c.Protocol = "a protocol that is too long" },
		"another direction":     func(c *connections.Connection) { c.Direction = "Sideways" },
		"a long tier":           func(c *connections.Connection) { c.Source.Tier = strings.Repeat("a", 64) },
		"a long tier of a rule": func(c *connections.Connection) { c.Because[0].Tier = strings.Repeat("a", 64) },
		"an escape in a name":   func(c *connections.Connection) { c.Source.Pod = "\x1b[2J" },
	} {
		c := *sound.DeepCopy()
		change(&c)
		if got := heard("n1", connections.ConnectionList{Items: []connections.Connection{c}}, now); len(got.Items) > 0 || len(got.Missing) != 1 {
			t.Errorf("%s is believed", name)
		}
	}
}
