package ask

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint/world"
	"github.com/apptier/apptier/policy/reach"
)

// citation is where somebody wrote what a policy says: a field of an AppTier for policies that are generated,
// which nobody wrote.
type citation struct {
	appTier types.NamespacedName
	path    string
	// file and line are empty where the AppTier is not of a file.
	file string
	line int
}

// String is the place in a file, as in shop.yaml:12 spec.tiers[0], or else the field of the AppTier.
func (c citation) String() string {
	if c.line == 0 {
		return fmt.Sprintf("AppTier %s %s", c.appTier, c.path)
	}
	return c.at()
}

// at is String where the AppTier is named beside it.
func (c citation) at() string {
	if c.line == 0 {
		return c.path
	}
	return fmt.Sprintf("%s:%d %s", c.file, c.line, c.path)
}

// citedPolicy is a policy that stands for a part of an AppTier.
type citedPolicy struct {
	app     scene.AppTier
	origins []expand.Origin
}

// cited returns the origin of a generated policy; nil if it is hand-written, or is not, or no longer, what its
// AppTier expands to.
func (q *Question) cited(name types.NamespacedName) *citedPolicy {
	if found, asked := q.citedPolicies[name]; asked {
		return found
	}
	if q.citedPolicies == nil {
		q.citedPolicies = map[types.NamespacedName]*citedPolicy{}
	}
	q.citedPolicies[name] = q.lookUpCited(name)
	return q.citedPolicies[name]
}

func (q *Question) lookUpCited(name types.NamespacedName) *citedPolicy {
	isNamed := func(p *networkingv1.NetworkPolicy) bool { return p.Namespace == name.Namespace && p.Name == name.Name }
	all := slices.Concat(q.Snapshot.Policies, q.Snapshot.Staged)
	i := slices.IndexFunc(all, isNamed)
	if i < 0 || !world.IsGenerated(all[i]) {
		return nil
	}
	policy := all[i]
	for _, app := range q.Meant.Accepted {
		if app.Namespace != name.Namespace || app.Name != policy.Labels[v1alpha1.LabelAppTier] {
			continue
		}
		meant := expand.NetworkPolicies(app.AppTier, q.Meant.Environment)
		if j := slices.IndexFunc(meant, isNamed); j < 0 || !equality.Semantic.DeepEqual(meant[j].Spec, policy.Spec) {
			return nil
		}
		isOf := func(o expand.Origin) bool { return o.Policy == name.Name }
		origins := slices.DeleteFunc(expand.Origins(app.AppTier, q.Meant.Environment), func(o expand.Origin) bool { return !isOf(o) })
		return &citedPolicy{app, origins}
	}
	return nil
}

// cite is the citation of a field.
func (p *citedPolicy) cite(path string) citation {
	c := citation{appTier: types.NamespacedName{Namespace: p.app.Namespace, Name: p.app.Name}, path: path}
	if !p.app.Source.IsLive() {
		c.file, c.line = p.app.Source.Origin.WrittenAt(path)
	}
	return c
}

// whole is the citation of what has the policy: a tier, or the isolation of the namespace.
func (p *citedPolicy) whole(policy string) citation {
	for i, tier := range p.app.Spec.Tiers {
		if expand.TierPolicyName(p.app.Name, tier.Name) == policy {
			return p.cite(fmt.Sprintf("spec.tiers[%d]", i))
		}
	}
	return p.cite("spec.isolation")
}

// rule cites the rules of the AppTier that a rule of the policy stands for, or settings; of one peer, its place.
func (p *citedPolicy) rule(direction networkingv1.PolicyType, index, peer int) []citation {
	var paths []string
	for _, o := range p.of(direction, index) {
		for _, path := range o.Paths {
			if peer < 0 {
				path = peerPath.ReplaceAllString(path, "")
			}
			if (peer < 0 || o.Peer == peer) && !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
	}
	var out []citation
	for _, path := range paths {
		out = append(out, p.cite(path))
	}
	return out
}

var peerPath = regexp.MustCompile(`\.(from|to)\[\d+\]$`)

func (p *citedPolicy) of(direction networkingv1.PolicyType, index int) []expand.Origin {
	return slices.DeleteFunc(slices.Clone(p.origins), func(o expand.Origin) bool { return o.Direction != direction || o.Rule != index })
}

// policyWords is how people know a policy.
func (q *Question) policyWords(name types.NamespacedName) string {
	if p := q.cited(name); p != nil {
		return p.whole(name.Name).String()
	}
	return name.String()
}

func (q *Question) policiesWords(names []types.NamespacedName) []string {
	out := make([]string, 0, len(names))
	for _, name := range names {
		out = append(out, q.policyWords(name))
	}
	return out
}

// policyColumn is how a table names a policy.
func (q *Question) policyColumn(name types.NamespacedName) string {
	if p := q.cited(name); p != nil {
		return p.app.Source.Name
	}
	return name.String()
}

func citedWords(all []citation, words func(citation) string) string {
	var out []string
	for _, c := range all {
		out = append(out, words(c))
	}
	return report.Few(out)
}

// policyInReason finds the policies that package reach names in sentences, as reach.RuleRef or by name.
var policyInReason = regexp.MustCompile(`([a-z0-9.-]+)/([a-z0-9.-]+)` +
	`(?: (ingress|egress)\[(\d+)\](?:\.(?:from|to)\[(\d+)\])?(?: ports\[\d+\])?)?`)

// ReasonWords is a reason as the ends were called, with citations of what was written.
func (q *Question) ReasonWords(reason string) string {
	return q.asTyped(policyInReason.ReplaceAllStringFunc(reason, func(text string) string {
		parts := policyInReason.FindStringSubmatch(text)
		name := types.NamespacedName{Namespace: parts[1], Name: parts[2]}
		p := q.cited(name)
		switch {
		case p == nil:
			return text
		case parts[3] == "":
			return p.whole(name.Name).String()
		}
		direction := networkingv1.PolicyType(strings.ToUpper(parts[3][:1]) + parts[3][1:])
		index, _ := strconv.Atoi(parts[4]) // only digits match
		peer, _ := strconv.Atoi(parts[5])  // 0 for everyone, as in expand.Origin
		return citedWords(p.rule(direction, index, peer), citation.String)
	}))
}

// ruleJSON names a rule for programs.
func (q *Question) ruleJSON(name types.NamespacedName, direction networkingv1.PolicyType, index, peer int) ruleJSON {
	p := q.cited(name)
	if p == nil {
		return ruleJSON{Policy: name.String(), Path: rulePath(direction, index)}
	}
	all := p.rule(direction, index, peer)
	out := ruleJSON{AppTier: all[0].appTier.String(), Path: all[0].path, File: all[0].file, Line: all[0].line}
	for _, c := range all[1:] {
		out.Also = append(out.Also, c.path)
	}
	return out
}

// policyColumn and ruleColumn are how a table names the rule.
func (r ruleJSON) policyColumn() string {
	if r.AppTier != "" {
		return "AppTier " + r.AppTier
	}
	return r.Policy
}

func (r ruleJSON) ruleColumn() string {
	paths := append([]string{citation{path: r.Path, file: r.File, line: r.Line}.at()}, r.Also...)
	return report.Few(paths)
}

// DecidedAt is the file and the line of the rule that allows a connection, or of the first policy that isolates a pod.
func (q *Question) DecidedAt(d reach.Decision) (file string, line int) {
	var name types.NamespacedName
	path := "metadata.name"
	switch {
	case d.AllowedBy != nil:
		name, path = d.AllowedBy.Policy, rulePath(d.AllowedBy.Direction, d.AllowedBy.Index)
	case len(d.Policies) > 0:
		name = d.Policies[0]
	default:
		return "", 0
	}
	if cited := q.cited(name); cited != nil {
		c := cited.whole(name.Name)
		if d.AllowedBy != nil {
			if rules := cited.rule(d.AllowedBy.Direction, d.AllowedBy.Index, max(d.AllowedBy.Peer, 0)); len(rules) > 0 {
				c = rules[0]
			}
		}
		return c.file, c.line
	}
	for _, o := range q.Scene.Input {
		if policy, ok := o.Object.(*networkingv1.NetworkPolicy); ok && policy.Namespace == name.Namespace && policy.Name == name.Name {
			return o.Origin.WrittenAt(path)
		}
	}
	return "", 0
}
