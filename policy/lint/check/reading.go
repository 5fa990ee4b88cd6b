package check

import "embed"

//go:embed examples
var examples embed.FS

// Schema reports where an object cannot be read as its kind.
var Schema = Register(Check{
	ID: "schema", Severity: Reject, About: OfBoth,
	Title: "Cannot be read",
	Text: `Invalid YAML, an unknown field, a value of the wrong type, duplicate keys or objects, a template that is not
rendered, and NetworkPolicies of a group, version or spelling that no API server has: the API server refuses them, or
drops what it does not know. The rest of the object is judged after you correct this.`,
}, examples)

// NotJudged reports what is not known here, or not understood.
var NotJudged = Register(Check{
	ID: "not-judged", Severity: Note, About: OfBoth,
	Title: "Not judged",
	Text: `Objects that are not in the input are not known, and other kinds are not understood: a Service or AppTier that an
AppTier refers to, nodes and the API server, policies of other kinds (AdminNetworkPolicy, Calico's, Cilium's), files that
are not manifests. They may be right or wrong. Add what is missing, or ask the cluster with --cluster.`,
}, examples)

// OverBudget reports where enforcers would refuse an object, because it asks for too much.
var OverBudget = Register(Check{
	ID: "over-budget", Severity: Reject, About: OfBoth,
	Title: "Asks for more than the budget",
	Text: `The rules, ports and addresses of each policy, and of all policies of a namespace, have limits (docs/limits.md).
Above a limit an enforcer isolates the pods and allows nothing. Above half of a limit the finding is a warning. Merge
rules that allow the same, or split the namespace.`,
}, examples)

// TooBig reports where judging takes more than a request may.
var TooBig = Register(Check{
	ID: "too-big-to-judge", Severity: Reject, About: OfBoth,
	Title: "Too big to judge",
	Text: `Judging an object at admission has a limit of steps and of time. An object that takes more is refused, because
nothing passes unjudged. Merge peers and ports that allow the same, or split the object.`,
}, examples)
