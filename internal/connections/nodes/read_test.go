package nodes

import (
	"encoding/json"
	"fmt"
	"math"
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
		TypeMeta: metav1.TypeMeta{Kind: "Anything"}, Count: math.MaxInt64,
		ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "shop", Labels: map[string]string{"x": "y"}},
		Verdict:    connections.WouldDeny, Direction: connections.Ingress, Protocol: "TCP", Node: "another",
		First: metav1.NewMicroTime(now.Add(-time.Hour)), Last: metav1.NewMicroTime(now.AddDate(900, 0, 0)),
		Source:      connections.End{Address: "10.0.0.1", Namespace: "shop", Pod: "web", Workload: "X/\x1b[2J"},
		Destination: connections.End{Address: "10.0.0.2"},
		Because:     []connections.PolicyReference{{Kind: "StagedNetworkPolicy", Name: "a"}},
	}
	one := heard("n1", connections.ConnectionList{Items: []connections.Connection{sound}}, now).Items[0]
	if one.Kind != "" || one.Count != mostCount || one.Node != "n1" || !one.Last.Time.Equal(now) || len(one.Labels) > 0 ||
		one.Source.Workload != "" || one.Source.Pod != "web" {
		text, _ := json.Marshal(one) //nolint:errchkjson // for people
		t.Errorf("believed is %s", text)
	}
	for name, change := range map[string]func(*connections.Connection){
		"a long protocol":       func(c *connections.Connection) { c.Protocol = "a protocol that is too long" },
		"another direction":     func(c *connections.Connection) { c.Direction = "Sideways" },
		"a long tier":           func(c *connections.Connection) { c.Source.Tier = strings.Repeat("a", 64) },
		"a long tier of a rule": func(c *connections.Connection) { c.Because[0].Tier = strings.Repeat("a", 64) },
		"an escape in a name":   func(c *connections.Connection) { c.Source.Pod = "\x1b[2J" },
		"an escape in a zone":   func(c *connections.Connection) { c.Source.Address = "fe80::1%\x1b[2J" },
		"a long zone":           func(c *connections.Connection) { c.Source.Address = "fe80::1%" + strings.Repeat("a", 1000) },
		"a port below all":      func(c *connections.Connection) { c.Port = -1 },
		"a port above all":      func(c *connections.Connection) { c.Port = 1 << 16 },
		"a count below nothing": func(c *connections.Connection) { c.Count = -1 },
	} {
		c := *sound.DeepCopy()
		change(&c)
		if got := heard("n1", connections.ConnectionList{Items: []connections.Connection{c}}, now); len(got.Items) > 0 || len(got.Missing) != 1 {
			t.Errorf("%s is believed", name)
		}
	}
}

// Only the manager says that another node denied what a node let through.
func TestNoNodeSpeaksOfOthersDenials(t *testing.T) {
	c := connections.Connection{
		ObjectMeta: metav1.ObjectMeta{Name: "a"}, Verdict: connections.Allowed, Reason: connections.ReasonDeniedElsewhere,
		Source: connections.End{Address: "10.0.0.1"}, Destination: connections.End{Address: "10.0.0.2"},
	}
	got := heard("n1", connections.ConnectionList{Items: []connections.Connection{c}}, time.Now())
	if len(got.Items) != 1 || got.Items[0].Reason != "" {
		t.Errorf("believed is %v", got)
	}
}

// manyOf are connections from sources that differ.
func manyOf(node string, n int, last time.Time) (list connections.ConnectionList) {
	for i := range n {
		list.Items = append(list.Items, connections.Connection{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("c", i)}, Node: node, Verdict: connections.Denied, Last: metav1.NewMicroTime(last),
			Source: connections.End{Address: fmt.Sprintf("10.0.%d.%d", i/256, i%256)}, Destination: connections.End{Address: "10.1.0.1"},
		})
	}
	return list
}

// Nodes that make up as much as a list has room for hide nothing that another one saw, whoever answers first.
func TestNodesThatLieHideNobody(t *testing.T) {
	now := time.Now()
	honest := manyOf("honest", 20, now.Add(-time.Hour))
	for _, at := range []int{0, 3} {
		var m merging
		for i := range 4 {
			if i == at {
				m.add(honest, time.Time{})
				continue
			}
			m.add(manyOf(fmt.Sprint("lies-", i), most, now), time.Time{})
		}
		kept := map[string]int{}
		for _, c := range m.list().Items {
			kept[c.Node]++
		}
		if kept["honest"] != 20 {
			t.Errorf("of the one that answers after %d, keeps %v", at, kept)
		}
	}
}

// Of connections whose names are as long as names may be, a list has fewer.
func TestListsAreBoundedInBytes(t *testing.T) {
	var m merging
	for i := range 3 {
		list := manyOf(fmt.Sprint("n", i), most/5, time.Now())
		for j := range list.Items {
			c := &list.Items[j]
			c.Source.Workload, c.Destination.Workload = strings.Repeat("w", longest), strings.Repeat("w", longest)
			for range 10 {
				c.Because = append(c.Because, connections.PolicyReference{Kind: "NetworkPolicy", Name: strings.Repeat("p", longest)})
			}
		}
		m.add(list, time.Time{})
	}
	text, err := json.Marshal(m.list())
	if err != nil || len(text) > most*unit || len(text) < most*unit/2 {
		t.Errorf("a list of %d bytes, %v", len(text), err)
	}
}

// What nodes answer is remembered up to a bound, from the moment it comes in.
func TestMemoryIsBoundedAsAnswersComeIn(t *testing.T) {
	var m memory
	now := time.Now()
	var answers []*given
	for i := range 20 {
		answers = append(answers, m.recall(question{node: Node{Name: fmt.Sprint("n", i)}}, now, func() (connections.ConnectionList, error) {
			return manyOf("n", most/5, now), nil
		}))
	}
	for _, answer := range answers {
		<-answer.done
		if len(answer.list.Items) != most/5 {
			t.Errorf("who waits for an answer gets %d", len(answer.list.Items))
		}
	}
	held := 0
	for _, answer := range m.answers {
		held += len(answer.list.Items)
	}
	if held == 0 || held > mostRemembered {
		t.Errorf("holds %d connections", held)
	}
	m.forget(now.Add(time.Minute))
	if m.held != 0 || len(m.answers) != 0 {
		t.Errorf("holds %d of %d answers after they are old", m.held, len(m.answers))
	}
}
