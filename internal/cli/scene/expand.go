package scene

import (
	"context"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/exit"
	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/model"
)

// Expanded is the result of expanding AppTiers.
type Expanded struct {
	// Policies are those of AppTiers that are enforced, and Staged those of AppTiers in mode Audit, in the order of the
	// AppTiers that are accepted. Others have none.
	Policies, Staged []*networkingv1.NetworkPolicy
	Accepted         []AppTier
	// expansions are the expansions of the accepted ones, each by itself.
	expansions map[*v1alpha1.AppTier]expand.Expansion
	Findings   []manifest.Finding
	unresolved []unresolved
	// environment is what the AppTiers refer to.
	Environment expand.Environment
}

// ExpandAll expands every AppTier that is not refused, within what it refers to. References that stand
// for nobody are among the findings.
func ExpandAll(ctx context.Context, apps []AppTier, s environment.Settings, from environment.Source) (Expanded, error) {
	out, err := expandAccepted(ctx, apps, checkAll(apps), s, from)
	for _, u := range out.unresolved {
		out.Findings = append(out.Findings, u.finding())
	}
	return out, err
}

// expandAccepted expands the AppTiers that no finding refuses.
func expandAccepted(ctx context.Context, apps []AppTier, findings []manifest.Finding, s environment.Settings,
	from environment.Source) (Expanded, error) {
	out := Expanded{Findings: findings}
	for _, app := range apps {
		isRefused := func(f manifest.Finding) bool {
			return f.Source.Object == app.Source.Object && f.Severity == check.Reject
		}
		if !slices.ContainsFunc(findings, isRefused) {
			out.Accepted = append(out.Accepted, app)
		}
	}
	env, err := s.Of(ctx, model.ReferencesOf(specsOf(out.Accepted)...), from)
	if err != nil {
		return out, err
	}
	out.Environment, out.expansions = env, map[*v1alpha1.AppTier]expand.Expansion{}
	for _, app := range out.Accepted {
		expansion := expand.Expand(app.AppTier, env)
		out.expansions[app.AppTier] = expansion
		if app.Spec.Mode == v1alpha1.Audit {
			out.Staged = append(out.Staged, expansion.Policies...)
		} else {
			out.Policies = append(out.Policies, expansion.Policies...)
		}
		for _, u := range expansion.Unresolved {
			out.unresolved = append(out.unresolved, unresolved{u, app.Source})
		}
	}
	return out, nil
}

// Generated are the objects that the manager writes for the AppTiers, in their order.
func (e Expanded) Generated() []runtime.Object {
	var out []runtime.Object
	for _, app := range e.Accepted {
		for _, policy := range e.expansions[app.AppTier].Policies {
			if app.Spec.Mode == v1alpha1.Audit {
				out = append(out, v1alpha1.StagedOf(policy))
			} else {
				out = append(out, policy)
			}
		}
	}
	return out
}

// Refusal is the answer where something is refused, or nil.
func Refusal(findings []manifest.Finding) error {
	if n := manifest.Count(findings, check.Reject); n > 0 {
		return &exit.AnswerError{Code: exit.Negative, Answer: fmt.Sprintf("refused: %d errors", n)}
	}
	return nil
}
