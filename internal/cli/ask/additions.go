package ask

import (
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/suggest"
)

// additionJSON is something to add.
type additionJSON struct {
	// Object is the AppTier to add to, or the NetworkPolicy to create.
	Object string `json:"object"`
	// Path is the list of the AppTier that the item of Patch is appended to; empty for a NetworkPolicy.
	Path string `json:"path,omitempty"`
	// Patch does it, given to kubectl patch --type json.
	Patch []patchJSON `json:"patch,omitempty"`
	// Manifest is the NetworkPolicy to create.
	Manifest *networkingv1.NetworkPolicy `json:"manifest,omitempty"`
}

// patchJSON is an operation of a JSON patch (RFC 6902).
type patchJSON struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

func additionsJSON(additions []suggest.Addition) []additionJSON {
	var out []additionJSON
	for _, a := range additions {
		if a.Policy != nil {
			out = append(out, additionJSON{Object: "NetworkPolicy " + manifest.Qualified(a.Policy), Manifest: a.Policy})
			continue
		}
		out = append(out, additionJSON{Object: "AppTier " + a.AppTier.String(), Path: a.Path, Patch: patchOf(a)})
	}
	return out
}

var tierPath = regexp.MustCompile(`^spec\.tiers\[(\d+)\]`)

// patchOf appends the item to its list, if the tier at that position is still the one that is meant.
func patchOf(a suggest.Addition) []patchJSON {
	var patch []patchJSON
	if tier := tierPath.FindStringSubmatch(a.Path); tier != nil {
		patch = append(patch, patchJSON{"test", "/spec/tiers/" + tier[1] + "/name", a.Tier})
	}
	path := "/" + strings.NewReplacer(".", "/", "[", "/", "]", "").Replace(a.Path)
	if a.First {
		return append(patch, patchJSON{"add", path, []any{a.Item}})
	}
	return append(patch, patchJSON{"add", path + "/-", a.Item})
}

// writeAdditions writes for people what to add.
func (e *explanation) writeAdditions(out io.Writer, a scene.Answer) error {
	before := e.world
	additions := e.additions(a)
	switch alike := suggest.Alike(before, a.Flow); {
	case len(additions) > 0:
	case len(alike) > 0:
		fmt.Fprintf(out, "pods of %s have no labels of their own, so no policy can select only them: "+
			"to allow it, add a label to their template, such as app: %s, and ask again\n",
			e.asTyped(alike[0].String()), path.Base(alike[0].Name))
	case reach.Allowed(e.world.Snapshot, a.Flow).Verdict == reach.Allow:
		fmt.Fprintln(out, "the addition above allows it too")
	default:
		fmt.Fprintln(out, "no addition would allow it: correct the policies that cannot be read")
	}
	for i, a := range additions {
		text, err := yamlOf(a)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s %s:\n", map[bool]string{true: "to allow it,", false: "and"}[i == 0], deedOf(a))
		for line := range strings.Lines(text) {
			fmt.Fprint(out, "  "+line)
		}
	}
	if len(e.opens) > 0 {
		var words []string
		for _, flow := range e.opens {
			words = append(words, fmt.Sprintf("%s -> %s", e.asTyped(flow.Source.String()), e.asTyped(flow.Destination.String())))
		}
		fmt.Fprintf(out, "this also allows, on the same port: %s\n", report.Few(words))
	}
	return nil
}

func deedOf(a suggest.Addition) string {
	switch {
	case a.Policy != nil && report.IsEmptySelector(&a.Policy.Spec.PodSelector):
		return fmt.Sprintf("create a NetworkPolicy for every pod of namespace %s, as this one has no labels of its own", a.Policy.Namespace)
	case a.Policy != nil:
		return "create a NetworkPolicy"
	case a.Tier == "":
		return fmt.Sprintf("add a tier to AppTier %s, at %s", a.AppTier, a.Path)
	default:
		return fmt.Sprintf("add to tier %s of AppTier %s, at %s", a.Tier, a.AppTier, a.Path)
	}
}

// yamlOf is what to add as it is written: a NetworkPolicy, or an item of a list.
func yamlOf(a suggest.Addition) (string, error) {
	var v any = a.Policy
	if a.Policy == nil {
		v = []any{a.Item}
	}
	text, err := yaml.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("writing what to add: %w", err)
	}
	return string(text), nil
}
