package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/apptier/apptier/api/v1alpha1"
)

var crds = []string{"apptiers.policy.apptier.dev", "nodereports.policy.apptier.dev", "stagednetworkpolicies.policy.apptier.dev"}

// CRDs are the names of the kinds that a manager needs.
func CRDs() []string { return slices.Clone(crds) }

// versions tells what is installed, and which pairs are too far apart: docs/reference/versions.md.
func versions(f *Facts, _ time.Time) []Finding {
	v := Versions(f)
	var out []Finding
	if f.CRDs.Unread == "" {
		for _, name := range crds {
			if !slices.ContainsFunc(f.CRDs.Items, func(crd metav1.PartialObjectMetadata) bool { return crd.Name == name }) {
				out = append(out, Finding{Check: checkVersions, Status: Fail, Objects: names("CustomResourceDefinition", []string{name}),
					Message: "the kind is not installed", Fix: "install crds.yaml of the manager's version: " +
						"" + documentation + "operations.md"})
			}
		}
	}
	if f.CRDs.Unread != "" && f.Groups.Unread == "" && !slices.Contains(f.Groups.Items, v1alpha1.GroupVersion.Group) {
		out = append(out, Finding{Check: checkVersions, Status: Fail, Message: "the API server knows no AppTiers",
			Fix: "install apptier, or crds.yaml of the manager's version: " + documentation + "operations.md"})
	}
	out = append(out, unread(checkVersions, f.CRDs.Unread, f.Deployments.Unread, f.DaemonSets.Unread)...)
	out = append(out, skews(v)...)
	if len(out) > 0 {
		return out
	}
	return pass(checkVersions, "plugin %s, CRDs %s, managers %s, enforcers %s", words(v.Plugin), words(v.CRDs...), words(v.Managers...),
		words(v.Enforcers...))
}

// Installed are the versions of what is installed, each once; "unknown" of what does not say its version.
type Installed struct {
	Plugin    string   `json:"plugin"`
	CRDs      []string `json:"crds"`
	Managers  []string `json:"managers"`
	Enforcers []string `json:"enforcers"`
}

// unlabelled is the version of what does not say it.
const unlabelled = "unknown"

// Versions are those of pods that run, where they were read, and else those of what makes them.
func Versions(f *Facts) Installed {
	found := map[string]map[string]bool{manager: {}, enforcer: {}, "crd": {}}
	for _, crd := range f.CRDs.Items {
		found["crd"][firstOf(crd.Labels[labelVersion])] = true
	}
	for _, pod := range f.Pods.Items {
		for _, component := range []string{manager, enforcer} {
			if is(component, pod.Labels) {
				found[component][versionOf(pod.Labels, pod.Spec)] = true
			}
		}
	}
	if len(found[manager]) == 0 {
		for _, d := range f.Deployments.Items {
			found[manager][versionOf(d.Spec.Template.Labels, d.Spec.Template.Spec)] = true
		}
	}
	if len(found[enforcer]) == 0 {
		for _, d := range f.enforcers() {
			found[enforcer][versionOf(d.Spec.Template.Labels, d.Spec.Template.Spec)] = true
		}
	}
	sorted := func(of string) []string { return append([]string{}, slices.Sorted(maps.Keys(found[of]))...) }
	return Installed{Plugin: firstOf(f.Plugin), CRDs: sorted("crd"), Managers: sorted(manager), Enforcers: sorted(enforcer)}
}

// versionOf is what the label says, and else the tag of the image.
func versionOf(labels map[string]string, spec corev1.PodSpec) string {
	if labels[labelVersion] != "" || len(spec.Containers) == 0 {
		return firstOf(labels[labelVersion])
	}
	image, _, _ := strings.Cut(spec.Containers[0].Image, "@")
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return firstOf(tag)
}

func firstOf(text string) string {
	if text == "" {
		return unlabelled
	}
	return text
}

func words(of ...string) string {
	if len(of) == 0 {
		return "none"
	}
	return strings.Join(of, " and ")
}

// skews are the pairs that are too far apart, and those of which that is not known.
func skews(v Installed) []Finding {
	var out []Finding
	add := func(a, b, message, fix string, fine func(a, b *version.Version) bool) {
		first, errFirst := version.ParseSemantic(a)
		second, errSecond := version.ParseSemantic(b)
		switch {
		case a == b && a != unlabelled:
		case errFirst != nil || errSecond != nil:
			out = append(out, Finding{Check: checkVersions, Status: Unknown, Message: fmt.Sprintf("%s: the versions %s and %s cannot be "+
				"compared", message, a, b),
				Fix: "see where both come from: objects of a release have the label " + labelVersion})
		case !fine(first, second):
			out = append(out, Finding{Check: checkVersions, Status: Warn, Message: fmt.Sprintf("%s: the versions %s and %s are too far "+
				"apart", message, a, b),
				Fix: fix + ": " + documentation + "reference/versions.md#what-works-with-what"})
		}
	}
	for _, m := range v.Managers {
		for _, crd := range v.CRDs {
			add(crd, m, "CRD and manager", "install crds.yaml of the manager's version; a CRD may be one minor version newer, and not "+
				"older",
				func(crd, m *version.Version) bool {
					return crd.Major() == m.Major() && (crd.Minor() == m.Minor() || crd.Minor() == m.Minor()+1)
				})
		}
		add(v.Plugin, m, "plugin and manager", "install the manager's version of the plugin, or one minor version from it", near)
	}
	if n := len(v.Managers); n > 1 {
		add(v.Managers[0], v.Managers[n-1], "managers", "see whether a rollout is stuck: kubectl rollout status deployment -n "+
			"NAMESPACE", near)
	}
	return out
}

// near tells whether two versions are at most one minor version apart.
func near(a, b *version.Version) bool {
	return a.Major() == b.Major() && max(a.Minor(), b.Minor())-min(a.Minor(), b.Minor()) <= 1
}
