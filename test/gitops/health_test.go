package gitops

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/apptier/apptier/api/v1alpha1"
)

const root = "../.."

// health is an AppTier with a status, and what is made of it.
type health struct {
	name   string
	change func(*v1alpha1.AppTier)
	argo   string
	kstate status.Status
}

var healths = []health{
	{"just created", func(a *v1alpha1.AppTier) { a.Status = v1alpha1.AppTierStatus{} }, "Progressing",
		// kstatus takes what has no status for a kind that has none. docs/gitops.md says what to do.
		status.CurrentStatus},
	{"all is well", func(*v1alpha1.AppTier) {}, "Healthy", status.CurrentStatus},
	{"changed since", func(a *v1alpha1.AppTier) { a.Generation++ }, "Progressing", status.InProgressStatus},
	{"being deleted", func(a *v1alpha1.AppTier) { now := metav1.Now(); a.DeletionTimestamp = &now }, "Progressing",
		status.TerminatingStatus},
	{"refused", func(a *v1alpha1.AppTier) {
		set(a, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonInvalid)
		set(a, v1alpha1.ConditionResolvedRefs, metav1.ConditionUnknown, v1alpha1.ReasonInvalid)
		set(a, v1alpha1.ConditionConflicted, metav1.ConditionUnknown, v1alpha1.ReasonInvalid)
		set(a, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalid)
	}, "Degraded", status.InProgressStatus},
	{"a reference to nothing", unresolved(v1alpha1.ReasonRefNotFound), "Progressing", status.InProgressStatus},
	{"the other has not agreed", unresolved(v1alpha1.ReasonPeerNotAccepted), "Progressing", status.InProgressStatus},
	{"a reference that cannot be", unresolved(v1alpha1.ReasonUnsupportedRef), "Degraded", status.InProgressStatus},
	{"not applied", func(a *v1alpha1.AppTier) {
		set(a, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonApplyFailed)
	}, "Progressing", status.InProgressStatus},
	{"opened by another policy", func(a *v1alpha1.AppTier) {
		set(a, v1alpha1.ConditionConflicted, metav1.ConditionTrue, v1alpha1.ReasonWidened)
	}, "Healthy", status.CurrentStatus},
	{"not known whether it is opened", func(a *v1alpha1.AppTier) {
		set(a, v1alpha1.ConditionConflicted, metav1.ConditionUnknown, v1alpha1.ReasonTooBigToJudge)
	}, "Healthy", status.CurrentStatus},
	// What nodes do does not fail or hold up a sync: one that is down would hold up all. Wait for Programmed where packets count.
	{"in force on all nodes", also(v1alpha1.ConditionProgrammed, metav1.ConditionTrue, v1alpha1.ReasonAllNodes),
		"Healthy", status.CurrentStatus},
	{"nodes are behind", also(v1alpha1.ConditionProgrammed, metav1.ConditionFalse, v1alpha1.ReasonNodesBehind),
		"Healthy", status.CurrentStatus},
	{"no enforcer", also(v1alpha1.ConditionProgrammed, metav1.ConditionUnknown, v1alpha1.ReasonNoEnforcer), "Healthy", status.CurrentStatus},
	// Nor does an audit: what it shows is for people to decide about.
	{"audited", also(v1alpha1.ConditionAudited, metav1.ConditionTrue, v1alpha1.ReasonNothingDenied), "Healthy", status.CurrentStatus},
	{"would deny", also(v1alpha1.ConditionAudited, metav1.ConditionFalse, v1alpha1.ReasonWouldDeny), "Healthy", status.CurrentStatus},
	{"still audits", also(v1alpha1.ConditionAudited, metav1.ConditionFalse, v1alpha1.ReasonAuditing), "Healthy", status.CurrentStatus},
	{"staged by hand", also(v1alpha1.ConditionAudited, metav1.ConditionUnknown, v1alpha1.ReasonStagedByHand), "Healthy", status.CurrentStatus},
	{"not all nodes report", also(v1alpha1.ConditionAudited, metav1.ConditionUnknown, v1alpha1.ReasonNotReported),
		"Healthy", status.CurrentStatus},
}

// also has an AppTier have one more condition.
func also(kind string, to metav1.ConditionStatus, reason string) func(*v1alpha1.AppTier) {
	return func(a *v1alpha1.AppTier) { set(a, kind, to, reason) }
}

func unresolved(reason string) func(*v1alpha1.AppTier) {
	return func(a *v1alpha1.AppTier) {
		set(a, v1alpha1.ConditionResolvedRefs, metav1.ConditionFalse, reason)
		set(a, v1alpha1.ConditionReady, metav1.ConditionFalse, reason)
	}
}

func TestArgoCD(t *testing.T) {
	for _, test := range healths {
		got, message := judge(t, "AppTier", object(t, appTier(test.change)))
		if got != test.argo || message == "" {
			t.Errorf("%s: %s %q, want %s", test.name, got, message, test.argo)
		}
	}
	// What is wrong is in the message, and not that something is.
	for _, test := range healths {
		a := appTier(test.change)
		_, message := judge(t, "AppTier", object(t, a))
		for _, c := range a.Status.Conditions {
			if c.Type == v1alpha1.ConditionAccepted && c.Status == metav1.ConditionFalse && message != c.Message {
				t.Errorf("%s: the message is %q, and not %q", test.name, message, c.Message)
			}
		}
	}
	staged := &v1alpha1.StagedNetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	if got, _ := judge(t, "StagedNetworkPolicy", object(t, staged)); got != "Healthy" {
		t.Errorf("a StagedNetworkPolicy is %s", got)
	}
	now := metav1.Now()
	staged.DeletionTimestamp = &now
	if got, _ := judge(t, "StagedNetworkPolicy", object(t, staged)); got != "Progressing" {
		t.Errorf("a StagedNetworkPolicy that is being deleted is %s", got)
	}
}

// Flux, kpt and Helm 4 wait by kstatus.
func TestKstatus(t *testing.T) {
	for _, test := range healths {
		got, err := status.Compute(&unstructured.Unstructured{Object: object(t, appTier(test.change))})
		if err != nil || got.Status != test.kstate {
			t.Errorf("%s: %+v %v, want %s", test.name, got, err, test.kstate)
		}
	}
}

// Every reason that a condition may have is tried.
func TestEveryReasonIsTried(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "api", "v1alpha1", "names.go"))
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]bool{}
	for _, test := range healths {
		for _, c := range appTier(test.change).Status.Conditions {
			tried[c.Reason] = true
		}
	}
	all := regexp.MustCompile(`\tReason\w+ = "(\w+)"`).FindAllStringSubmatch(string(text), -1)
	if len(all) < 8 {
		t.Fatalf("only the reasons %v are found", all)
	}
	for _, reason := range all {
		if !tried[reason[1]] {
			t.Errorf("no AppTier has the reason %s", reason[1])
		}
	}
}

// appTier is one that is as a change of one where all is well.
func appTier(change func(*v1alpha1.AppTier)) *v1alpha1.AppTier {
	a := &v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop", Generation: 3}}
	a.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AppTier"}
	a.Status.ObservedGeneration = 3
	set(a, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	set(a, v1alpha1.ConditionResolvedRefs, metav1.ConditionTrue, v1alpha1.ReasonResolved)
	set(a, v1alpha1.ConditionConflicted, metav1.ConditionFalse, v1alpha1.ReasonNotWidened)
	set(a, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonApplied)
	change(a)
	return a
}

func set(a *v1alpha1.AppTier, kind string, to metav1.ConditionStatus, reason string) {
	c := metav1.Condition{Type: kind, Status: to, Reason: reason, Message: kind + " is " + string(to) + " for " + reason,
		ObservedGeneration: a.Generation}
	for i := range a.Status.Conditions {
		if a.Status.Conditions[i].Type == kind {
			a.Status.Conditions[i] = c
			return
		}
	}
	a.Status.Conditions = append(a.Status.Conditions, c)
}

func object(t *testing.T, o any) map[string]any {
	t.Helper()
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// judge runs the script of a kind as Argo CD does, with no more of Lua's libraries than it gives.
func judge(t *testing.T, kind string, object map[string]any) (health, message string) {
	t.Helper()
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
		lua.StringLibName: lua.OpenString} {
		if err := l.CallByParam(lua.P{Fn: l.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			t.Fatal(err)
		}
	}
	script, err := os.ReadFile(filepath.Join(root, "config", "argocd", "policy.apptier.dev", kind, "health.lua"))
	if err != nil {
		t.Fatal(err)
	}
	l.SetGlobal("obj", valueOf(l, object))
	if err := l.DoString(string(script)); err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	answer, isTable := l.Get(-1).(*lua.LTable)
	if !isTable {
		t.Fatalf("%s: no table is returned", kind)
	}
	return answer.RawGetString("status").String(), strings.TrimPrefix(answer.RawGetString("message").String(), "nil")
}

// valueOf is a JSON value in Lua.
func valueOf(l *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case map[string]any:
		table := l.NewTable()
		for key, value := range v {
			table.RawSetString(key, valueOf(l, value))
		}
		return table
	case []any:
		table := l.NewTable()
		for _, value := range v {
			table.Append(valueOf(l, value))
		}
		return table
	case string:
		return lua.LString(v)
	case bool:
		return lua.LBool(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	default:
		return lua.LNil
	}
}
