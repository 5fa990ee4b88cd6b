package doctor

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What is found beside the enforcer, or instead of it, by the plugin that connects pods.
func TestNetworkPlugins(t *testing.T) {
	off := []corev1.ConfigMap{configMap("cilium-config", "enable-policy", "never")}
	ipvs := []corev1.ConfigMap{configMap("kube-proxy", "config.conf", "kind: KubeProxyConfiguration\nmode: ipvs\n")}
	iptables := []corev1.ConfigMap{configMap("kube-proxy", "config.conf", "mode: iptables")}
	for _, test := range []struct {
		name          string
		set           appsv1.DaemonSet
		maps          []corev1.ConfigMap
		with, without []string // the enforcer
	}{
		{"Calico", daemonSet("calico-system", "calico-node"), iptables, []string{"enforcers warn"}, nil},
		{"Cilium", daemonSet("kube-system", "cilium"), nil, []string{"network fail", "enforcers warn"}, nil},
		{"Cilium without policies", daemonSet("kube-system", "cilium"), off, []string{"network fail"}, []string{"enforcers fail"}},
		{"GKE's Dataplane V2", daemonSet("kube-system", "anetd"), nil, []string{"network fail", "enforcers warn"}, nil},
		{"Antrea", daemonSet("kube-system", "antrea-agent"), nil, []string{"network fail", "enforcers warn"}, nil},
		{"kube-router", daemonSet("kube-system", "kube-router"), nil, []string{"enforcers warn"}, nil},
		{"kube-router without policies", daemonSet("kube-system", "kube-router", "--run-firewall=false"), nil, nil,
			[]string{"enforcers fail"}},
		{"AWS VPC CNI", daemonSet("kube-system", "aws-node"), nil, nil, []string{"enforcers fail"}},
		{"AWS VPC CNI with policies", daemonSet("kube-system", "aws-node", "--enable-network-policy=true"), nil,
			[]string{"enforcers warn"}, nil},
		{"kindnet", daemonSet("kube-system", "kindnet"), nil, []string{"enforcers unknown"}, []string{"enforcers unknown"}},
		{"flannel with IPVS", daemonSet("kube-flannel", "kube-flannel-ds"), ipvs, []string{"network fail"}, []string{"enforcers fail"}},
		{"kube-network-policies", daemonSet("kube-system", "kube-network-policies"), nil, []string{"enforcers warn"}, nil},
		{"Weave Net without policies", daemonSet("kube-system", "weave-net"), nil, []string{"network warn"}, []string{"enforcers fail"}},
		{"Multus alone", daemonSet("kube-system", "kube-multus-ds"), nil, []string{"network warn"}, []string{"enforcers unknown"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := well()
			f.DaemonSets.Items[1], f.ConfigMaps.Items = test.set, test.maps
			if diff := cmp.Diff(test.with, withoutObjects(odd(t, Judge(f, now)))); diff != "" {
				t.Errorf("with the enforcer (-want +got):\n%s", diff)
			}
			f.DaemonSets.Items = f.DaemonSets.Items[1:]
			if diff := cmp.Diff(test.without, withoutObjects(odd(t, Judge(f, now)))); diff != "" {
				t.Errorf("without the enforcer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestK3sMayEnforceByItself(t *testing.T) {
	f := well()
	f.Nodes.Items[0].Status.NodeInfo.KubeletVersion = "v1.37.2+k3s1"
	if diff := cmp.Diff([]string{"enforcers unknown"}, withoutObjects(odd(t, Judge(f, now)))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Events count while they are told again and again, and until one says that all is well.
func TestEventsOfNodes(t *testing.T) {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	unseen := event("Node", "a", "BridgeUnseen", "apptier's enforcer: not ready: load it", ago(time.Minute))
	shared := event("Node", "a", "MarkShared", "apptier's enforcer: warning: two", ago(3*time.Minute))
	series := event("Node", "b", "BridgeUnseen", "apptier's enforcer: not ready: load it", ago(50*time.Minute))
	series.Series = &corev1.EventSeries{LastObservedTime: metav1.NewMicroTime(ago(time.Minute))}
	for _, test := range []struct {
		name   string
		events []corev1.Event
		want   []string
	}{
		{"none", nil, nil},
		{"not ready", []corev1.Event{unseen}, []string{"node-health fail [Node a]"}},
		{"both", []corev1.Event{shared, unseen}, []string{"node-health fail [Node a]", "node-health warn [Node a]"}},
		{"on two nodes", []corev1.Event{series, unseen, unseen}, []string{"node-health fail [Node a Node b]"}},
		{"long ago", []corev1.Event{event("Node", "a", "BridgeUnseen", "apptier's enforcer: not ready: load it",
			ago(lasting+time.Second))}, nil},
		{"well again", []corev1.Event{unseen, event("Node", "a", recovered, "well", ago(time.Second))}, nil},
		{"well before", []corev1.Event{shared, unseen, event("Node", "a", recovered, "well", ago(2*time.Minute))},
			[]string{"node-health fail [Node a]"}},
		{"another is well", []corev1.Event{unseen, event("Node", "b", recovered, "well", ago(time.Second))},
			[]string{"node-health fail [Node a]"}},
		{"a policy", []corev1.Event{event("NetworkPolicy", "big", notEnforced, "too big", ago(30*time.Minute))},
			[]string{"policies warn [NetworkPolicy shop/big]"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := well()
			f.Events.Items = test.events
			if diff := cmp.Diff(test.want, odd(t, Judge(f, now))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Every reason that the enforcer has is one that there is something to do about, and the other way around.
func TestEveryReasonHasAFix(t *testing.T) {
	files, err := filepath.Glob("../../../enforcer/*/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	declared := regexp.MustCompile(`health\.Reason = "(\w+)"`)
	reasons := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range declared.FindAllSubmatch(text, -1) {
			reasons[string(match[1])] = true
		}
	}
	for reason := range reasons {
		if fixes[reason] == "" {
			t.Errorf("nothing to do about %s", reason)
		}
	}
	for reason := range fixes {
		if !reasons[reason] {
			t.Errorf("no enforcer says %s", reason)
		}
	}
}

func withoutObjects(findings []string) []string {
	objects := regexp.MustCompile(` \[.*`)
	var out []string
	for _, f := range findings {
		out = append(out, objects.ReplaceAllString(f, ""))
	}
	return out
}

func configMap(name, key, value string) corev1.ConfigMap {
	return corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name}, Data: map[string]string{key: value}}
}

func event(kind, name, reason, message string, at time.Time) corev1.Event {
	e := corev1.Event{Reason: reason, Message: message, EventTime: metav1.NewMicroTime(at)}
	e.InvolvedObject = corev1.ObjectReference{Kind: kind, Name: name}
	if kind != "Node" {
		e.InvolvedObject.Namespace = "shop"
	}
	return e
}
