package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/widening"
)

// Import is what policies became.
type Import struct {
	AppTiers []*v1alpha1.AppTier
	// Policies are all that were read, in the order of the input.
	Policies []ImportedPolicy
	// Changes are the connections that differ.
	Changes Changes
}

// ImportedPolicy is a policy that was read, and what it became.
type ImportedPolicy struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Lines is how many lines it has, without empty ones and comments.
	Lines int `json:"lines"`
	// AppTier and Tier are what says the same. Without a tier, it is said for every pod of the namespace.
	AppTier string `json:"appTier,omitempty"`
	Tier    string `json:"tier,omitempty"`
	// Stays says why it stays; empty if it does not.
	Stays string `json:"stays,omitempty"`
	// Notes are what is otherwise.
	Notes  []string       `json:"notes,omitempty"`
	Object runtime.Object `json:"-"`
}

func (p ImportedPolicy) becomes() string {
	switch {
	case p.Stays != "":
		return "stays"
	case p.Tier == "":
		return "AppTier " + p.AppTier + ", every pod"
	default:
		return "AppTier " + p.AppTier + ", tier " + p.Tier
	}
}

func (p ImportedPolicy) at() string {
	if at := (Change{File: p.File, Line: p.Line}).by(); at != "" {
		return at + ": "
	}
	return ""
}

// Staying counts the policies that stay.
func (i Import) Staying() int {
	n := 0
	for _, p := range i.Policies {
		if p.Stays != "" {
			n++
		}
	}
	return n
}

// lines are how many there were, of policies that AppTiers say, and how many the AppTiers have.
func (i Import) lines() (before, after int, err error) {
	for _, p := range i.Policies {
		switch {
		case p.Stays != "":
		case p.Lines > 0:
			before += p.Lines
		default:
			text, err := AppTierYAML(clean(p.Object))
			if err != nil {
				return 0, 0, err
			}
			before += bytes.Count(text, []byte("\n"))
		}
	}
	for _, app := range i.AppTiers {
		text, err := AppTierYAML(app)
		if err != nil {
			return 0, 0, err
		}
		after += bytes.Count(text, []byte("\n"))
	}
	return before, after, nil
}

// WriteImported writes the AppTiers, and the policies that stay.
func WriteImported(out io.Writer, i Import) error {
	first := true
	write := func(comment string, object any) error {
		text, err := AppTierYAML(object)
		if err != nil {
			return err
		}
		if !first {
			comment = "---\n" + comment
		}
		first = false
		_, err = fmt.Fprintf(out, "%s%s", comment, text)
		return err
	}
	for _, app := range i.AppTiers {
		if err := write("", app); err != nil {
			return err
		}
	}
	for _, p := range i.Policies {
		if p.Stays == "" {
			continue
		}
		if err := write("# Stays: "+strings.ReplaceAll(p.Stays, "\n", " ")+"\n", i.kept(p)); err != nil {
			return err
		}
	}
	return nil
}

// kept is a policy that stays, as it has to be beside the AppTiers: what one of these closes it may open with a reason
// alone.
func (i Import) kept(p ImportedPolicy) runtime.Object {
	o := clean(p.Object)
	policy, ok := o.(*networkingv1.NetworkPolicy)
	isBeside := func(app *v1alpha1.AppTier) bool { return app.Namespace == policy.Namespace }
	if !ok || len(policy.Spec.Ingress)+len(policy.Spec.Egress) == 0 || !slices.ContainsFunc(i.AppTiers, isBeside) {
		return o
	}
	if policy.Annotations[widening.Annotation] == "" {
		metav1.SetMetaDataAnnotation(&policy.ObjectMeta, widening.Annotation, p.Stays)
	}
	return policy
}

// clean is an object without what only a cluster writes.
func clean(o runtime.Object) runtime.Object {
	o = o.DeepCopyObject()
	if _, ok := o.(*networkingv1.NetworkPolicy); ok { // lists leave it out
		o.GetObjectKind().SetGroupVersionKind(networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"))
	}
	accessor, err := meta.Accessor(o)
	if err != nil {
		return o
	}
	accessor.SetManagedFields(nil)
	accessor.SetUID("")
	accessor.SetResourceVersion("")
	accessor.SetGeneration(0)
	accessor.SetCreationTimestamp(metav1.Time{})
	annotations := accessor.GetAnnotations()
	delete(annotations, "kubectl.kubernetes.io/last-applied-configuration")
	accessor.SetAnnotations(annotations)
	return o
}

// WriteImportReport says what became of the policies, and which connections differ.
func WriteImportReport(out io.Writer, i Import) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "POLICY\tBECOMES")
	for _, p := range i.Policies {
		name := p.Name
		if p.Kind != "NetworkPolicy" {
			name = p.Kind + " " + name
		}
		fmt.Fprintf(table, "%s\t%s\n", name, p.becomes())
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, p := range i.Policies {
		if p.Stays != "" {
			fmt.Fprintf(out, "%s%s %s stays: %s\n", p.at(), p.Kind, p.Name, p.Stays)
		}
		for _, note := range p.Notes {
			fmt.Fprintf(out, "%s%s %s: %s\n", p.at(), p.Kind, p.Name, note)
		}
	}
	before, after, err := i.lines()
	if err != nil {
		return err
	}
	if n := len(i.Policies) - i.Staying(); n > 0 {
		fmt.Fprintf(out, "%d of %d policies, of %d lines, become %s of %d lines\n",
			n, len(i.Policies), before, plural(len(i.AppTiers), "AppTier"), after)
	} else {
		fmt.Fprintf(out, "none of %d policies becomes an AppTier\n", len(i.Policies))
	}
	return WriteChanges(out, i.Changes)
}

// WriteImportJSON writes all of it for programs.
func WriteImportJSON(out io.Writer, i Import) error {
	before, after, err := i.lines()
	if err != nil {
		return err
	}
	opened, closed := i.Changes.Count()
	apps, stays, policies := []any{}, []any{}, []ImportedPolicy{}
	for _, app := range i.AppTiers {
		apps = append(apps, app)
	}
	for _, p := range i.Policies {
		policies = append(policies, p)
		if p.Stays != "" {
			stays = append(stays, i.kept(p))
		}
	}
	return WriteJSON(out, map[string]any{
		"appTiers": apps, "stays": stays, "policies": policies, "lines": map[string]int{"before": before, "after": after},
		"opened": opened, "closed": closed, "unknown": i.Changes.Unknown, "changes": i.Changes.Changes,
	})
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
