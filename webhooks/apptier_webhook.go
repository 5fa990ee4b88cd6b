// Package webhooks answers admission requests of the API server with the findings of policy/lint.
package webhooks

import (
	"context"
	"fmt"
	"slices"
	"sync"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/environment"
	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/apptier"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/model"
)

// AppTierValidator refuses AppTiers that lint rejects, by themselves or because of others in their
// namespace, with every reason at once. It passes warnings on: about doubtful fields, and about missing
// references, which may be applied later. It fails open: the controller judges every AppTier again before
// it applies it.
type AppTierValidator struct {
	passDeletions[*v1alpha1.AppTier]

	// Cluster is what AppTiers are judged against.
	Cluster *Cluster
	// Judging limits the work of all requests, together with those about NetworkPolicies.
	Judging *Judging
	// Limits are the enforcers' limits.
	Limits budget.Limits
	// Reader reads from a cache.
	Reader client.Reader
	// Settings are what no object of the cluster says.
	Settings environment.Settings
}

var _ admission.Validator[*v1alpha1.AppTier] = AppTierValidator{}

// +kubebuilder:webhook:path=/validate-policy-apptier-dev-v1alpha1-apptier,mutating=false,failurePolicy=ignore,sideEffects=None,groups=policy.apptier.dev,resources=apptiers,verbs=create;update,versions=v1alpha1,name=apptier.policy.apptier.dev,admissionReviewVersions=v1,timeoutSeconds=5

// SetupWithManager registers the webhook at the manager's webhook server.
func (v AppTierValidator) SetupWithManager(mgr ctrl.Manager) error {
	return register(mgr, "AppTier", &v1alpha1.AppTier{}, v)
}

// ValidateCreate judges a new AppTier.
func (v AppTierValidator) ValidateCreate(ctx context.Context, app *v1alpha1.AppTier) (admission.Warnings, error) {
	return v.answer(ctx, nil, app)
}

// ValidateUpdate judges a changed spec. An AppTier that is being deleted, or whose spec does not change,
// always passes: finalizers and labels must not depend on newer checks. A spec that was already invalid
// may change too: a mistake from before the change is a warning.
func (v AppTierValidator) ValidateUpdate(ctx context.Context, old, app *v1alpha1.AppTier) (admission.Warnings, error) {
	if !app.DeletionTimestamp.IsZero() || equality.Semantic.DeepEqual(old.Spec, app.Spec) {
		return nil, nil
	}
	return v.answer(ctx, old, app)
}

// judge returns what is wrong or doubtful about an AppTier in the cluster. Of two that conflict, admission
// refuses the one that creates the conflict, even if it is older.
func (v AppTierValidator) judge(meaning lint.Meaning, work *check.Work) []check.Finding {
	app := meaning.App
	world := v.Cluster.around(app)
	findings := lint.JudgeAppTier(v.Cluster.current(), meaning, world, work)
	for _, other := range world.AppTiers {
		if other.Namespace != app.Namespace || other.Name == app.Name || !other.DeletionTimestamp.IsZero() {
			continue
		}
		for _, finding := range apptier.SameNamespaceAs(app, other) {
			if !slices.Contains(findings, finding) {
				findings = append(findings, finding)
			}
		}
	}
	return findings
}

// answer refuses an AppTier, or accepts it with warnings.
func (v AppTierValidator) answer(ctx context.Context, old, app *v1alpha1.AppTier) (admission.Warnings, error) {
	of := subject{
		kind:      v1alpha1.GroupVersion.WithKind("AppTier").GroupKind(),
		namespace: app.Namespace, name: app.Name, size: fmt.Sprintf("%d tiers", len(app.Spec.Tiers)),
	}
	var left admission.Warnings
	findings, err := v.Judging.within(ctx, of, func(work *check.Work) (findings []check.Finding, err error) {
		findings, left, err = v.judgeChange(ctx, old, app, work)
		return findings, err
	})
	if err != nil {
		return nil, err
	}
	return append(warnings(findings), left...), refusal(of.kind, app.Name, findings)
}

// judgeChange judges a new or changed AppTier, by itself and by its policies. Missing references are warnings. It counts
// the cost first: counting is cheap, and an AppTier above a budget may be too big to judge.
func (v AppTierValidator) judgeChange(ctx context.Context, old, app *v1alpha1.AppTier,
	work *check.Work) (findings []check.Finding, left admission.Warnings, err error) {
	now, err := v.meaning(ctx, app)
	if err != nil {
		return nil, nil, err
	}
	before := formerly{of: old, meaning: sync.OnceValues(func() (lint.Meaning, error) { return v.meaning(ctx, old) })}
	costs, err := v.budget(before, now)
	if err != nil || len(check.WithSeverity(costs, check.Reject)) > 0 {
		return costs, nil, err
	}
	findings, err = v.judgeSpec(ctx, before, now, work)
	if err != nil || now.IsRefused() { // it has no policies
		return findings, nil, err
	}
	opened, err := v.opened(ctx, before, now, work)
	if err != nil {
		return nil, nil, err
	}
	findings = slices.Concat(findings, opened, costs)
	return findings, append(stopsEnforcing(old, app), unresolved(now.Expansion, findings)...), nil
}

// stopsEnforcing warns of a change after which the AppTier denies nothing.
func stopsEnforcing(old, app *v1alpha1.AppTier) admission.Warnings {
	if old == nil || old.Spec.Mode == v1alpha1.Audit || app.Spec.Mode != v1alpha1.Audit {
		return nil
	}
	return admission.Warnings{"spec.mode: with mode Audit the AppTier stops denying anything: its pods are open to whatever other " +
		"policies allow"}
}

// formerly is the AppTier before the change, nil if there was none. Its meaning is computed once, and only if something
// is refused now.
type formerly struct {
	of      *v1alpha1.AppTier
	meaning func() (lint.Meaning, error)
}

// meaning returns what an AppTier means now.
func (v AppTierValidator) meaning(ctx context.Context, app *v1alpha1.AppTier) (lint.Meaning, error) {
	meaning, err := lint.MeaningOf(app, func() (expand.Environment, error) {
		return v.Settings.Of(ctx, model.ReferencesOf(app), environment.Cached{Reader: v.Reader})
	})
	if err != nil {
		return meaning, failed(ctx, fmt.Errorf("looking up what AppTier %s/%s refers to: %w", app.Namespace, app.Name, err))
	}
	return meaning, nil
}

// judgeSpec judges an AppTier together with the others. A mistake from before the change is a warning.
func (v AppTierValidator) judgeSpec(ctx context.Context, before formerly, now lint.Meaning, work *check.Work) ([]check.Finding, error) {
	findings := v.judge(now, work)
	if before.of == nil || len(check.WithSeverity(findings, check.Reject)) == 0 {
		return findings, nil
	}
	old, err := before.meaning()
	if err != nil {
		return nil, err
	}
	return ratchet(findings, func() []check.Finding { return v.judge(old, check.NewWork(mostSteps, ctx.Err)) }), nil
}

// budget checks the policies of an AppTier against the budgets.
func (v AppTierValidator) budget(before formerly, now lint.Meaning) ([]check.Finding, error) {
	var cost budget.Cost
	app := now.App
	others := v.Cluster.otherPolicies(app.Namespace, func(p *networkingv1.NetworkPolicy) bool { return v1alpha1.OwnerOf(p) == app.Name })
	findings := withinBudget(v.Limits, now.Expansion.Policies, others, cost)
	if before.of == nil || len(check.WithSeverity(findings, check.Reject)) == 0 {
		return findings, nil
	}
	was, err := before.meaning()
	if err != nil {
		return nil, err
	}
	for _, policy := range was.Expansion.Policies {
		cost = cost.Add(budget.Count(&policy.Spec))
	}
	return withinBudget(v.Limits, now.Expansion.Policies, others, cost), nil
}

// opened are the policies that open what the AppTier closes. A policy that already opened it before the
// change is a warning: the change is no reason to refuse. An AppTier in mode Audit closes nothing, so for it all are
// warnings, and whoever enforces it learns of them as whoever creates it does.
func (v AppTierValidator) opened(ctx context.Context, before formerly, now lint.Meaning, work *check.Work) ([]check.Finding, error) {
	cluster := v.Cluster.current()
	findings := lint.Opened(cluster, now.App, now.Expansion.Policies, work)
	switch {
	case now.App.Spec.Mode == v1alpha1.Audit:
		return check.Softened(findings), nil
	case before.of == nil, before.of.Spec.Mode == v1alpha1.Audit, len(findings) == 0:
		return findings, nil
	}
	was, err := before.meaning()
	if err != nil {
		return nil, err
	}
	known := lint.Opened(cluster, before.of, was.Expansion.Policies, check.NewWork(mostSteps, ctx.Err))
	for i, finding := range findings {
		if slices.ContainsFunc(known, func(k check.Finding) bool { return k.Other == finding.Other }) {
			findings[i].Severity = check.Warn
		}
	}
	return findings, nil
}

// unresolved are the references of a valid AppTier that match nothing yet, and about which there is no
// finding. They are no reason to refuse: what it refers to may be applied later.
func unresolved(result expand.Expansion, findings []check.Finding) (out admission.Warnings) {
	for _, reference := range result.Unresolved {
		if !slices.ContainsFunc(findings, func(f check.Finding) bool { return f.Path.Within(check.Path(reference.Path)) }) {
			out = append(out, reference.String())
		}
	}
	return out
}
