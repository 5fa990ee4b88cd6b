package scene

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/reach"
)

// OtherPolicies are the policies of a scene that are not NetworkPolicies, and that nothing here judges.
func (s *Scene) OtherPolicies() []manifest.Object {
	return slices.DeleteFunc(slices.Clone(s.Objects()), func(o manifest.Object) bool {
		of, ok := o.Object.(*unstructured.Unstructured)
		return !ok || !manifest.IsOtherPolicy(of.GroupVersionKind())
	})
}

// NotJudged are the findings of policies that nothing here judges.
func (s *Scene) NotJudged() []manifest.Finding {
	var findings []manifest.Finding
	for _, o := range s.OtherPolicies() {
		kind, _, _ := strings.Cut(o.Name, " ")
		findings = append(findings, manifest.Finding{Source: o, Finding: check.Finding{
			Check: check.NotJudged, Severity: check.Note, Path: "kind",
			Message: kind + " is not judged here: it may allow what NetworkPolicies deny, and deny what they allow",
			Fix:     "ask the network plugin that enforces it; the findings about NetworkPolicies ignore it",
		}})
	}
	return findings
}

// Doubt makes the answers unknown that a policy could change which nothing here judges.
func (s *Scene) Doubt(snapshot reach.Snapshot, answers []Answer) {
	policies := s.OtherPolicies()
	for i := range answers {
		a := &answers[i]
		a.Result.Egress = s.doubted(snapshot, policies, a.Flow.Source, "egress", a.Result.Egress)
		a.Result.Ingress = s.doubted(snapshot, policies, a.Flow.Destination, "ingress", a.Result.Ingress)
		verdicts := []reach.Verdict{a.Result.Egress.Verdict, a.Result.Ingress.Verdict}
		switch {
		case slices.Contains(verdicts, reach.Deny):
			a.Result.Verdict = reach.Deny
		case slices.Contains(verdicts, reach.Unknown):
			a.Result.Verdict = reach.Unknown
		}
	}
	sortAnswers(answers)
}

func (s *Scene) doubted(snapshot reach.Snapshot, policies []manifest.Object, end reach.Endpoint, direction string,
	d reach.Decision) reach.Decision {
	i := slices.IndexFunc(snapshot.Pods, func(pod *corev1.Pod) bool { return pod.Namespace == end.Pod.Namespace && pod.Name == end.Pod.Name })
	if i < 0 {
		return d // policies are about pods
	}
	for _, o := range policies {
		if s.mayDecide(o.Object.(*unstructured.Unstructured), snapshot.Pods[i], direction) {
			d.Verdict, d.AllowedBy = reach.Unknown, nil
			d.Reason = fmt.Sprintf("%s (%s) could decide otherwise, and is not judged here; by NetworkPolicies alone: %s", o.Name, o.Origin,
				d.Reason)
			return d
		}
	}
	return d
}

// subject is whom a policy of SIG Network is for (https://network-policy-api.sigs.k8s.io/api-overview/).
type subject struct {
	Namespaces *metav1.LabelSelector `json:"namespaces"`
	Pods       *struct {
		NamespaceSelector metav1.LabelSelector `json:"namespaceSelector"`
		PodSelector       metav1.LabelSelector `json:"podSelector"`
	} `json:"pods"`
}

// mayDecide says whether a policy may be for a pod in a direction. What cannot be read may be for any.
func (s *Scene) mayDecide(policy *unstructured.Unstructured, pod *corev1.Pod, direction string) bool {
	if namespace := policy.GetNamespace(); namespace != "" {
		return namespace == pod.Namespace
	}
	if policy.GroupVersionKind().Group != "policy.networking.k8s.io" {
		return true
	}
	rules, _, err := unstructured.NestedSlice(policy.Object, "spec", direction)
	if err == nil && len(rules) == 0 {
		return false
	}
	value, _, _ := unstructured.NestedFieldNoCopy(policy.Object, "spec", "subject")
	text, err := json.Marshal(value)
	var of subject
	if err != nil || json.Unmarshal(text, &of) != nil {
		return true
	}
	switch {
	case of.Namespaces != nil:
		return s.mayBeIn(pod.Namespace, of.Namespaces)
	case of.Pods != nil:
		return s.mayBeIn(pod.Namespace, &of.Pods.NamespaceSelector) && selects(&of.Pods.PodSelector, pod.Labels)
	default:
		return true
	}
}

// mayBeIn says whether a selector may match a namespace, of which more labels may be set than are known.
func (s *Scene) mayBeIn(namespace string, selector *metav1.LabelSelector) bool {
	set := map[string]string{}
	of, isKnown := s.object("Namespace", types.NamespacedName{Name: namespace}).(*corev1.Namespace)
	if isKnown {
		set = labels.Merge(of.Labels, nil)
	}
	set[corev1.LabelMetadataName] = namespace
	if isKnown || selects(selector, set) {
		return selects(selector, set)
	}
	// What is asked of the name is known; the rest may be so.
	byName := &metav1.LabelSelector{}
	if name, found := selector.MatchLabels[corev1.LabelMetadataName]; found {
		byName.MatchLabels = map[string]string{corev1.LabelMetadataName: name}
	}
	for _, e := range selector.MatchExpressions {
		if e.Key == corev1.LabelMetadataName {
			byName.MatchExpressions = append(byName.MatchExpressions, e)
		}
	}
	return selects(byName, set)
}

func selects(selector *metav1.LabelSelector, set map[string]string) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err != nil || s.Matches(labels.Set(set))
}
