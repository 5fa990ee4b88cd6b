package check

import "embed"

//go:embed examples
var examples embed.FS

// Schema is found where an object cannot be read as what it says it is.
var Schema = Register(Check{
	ID: "schema", Severity: Reject, About: OfBoth,
	Title: "Cannot be read",
	Text: `Text that is no YAML, a field that there is not, a value of another type, keys or objects given twice, a template
that is not rendered, and NetworkPolicies of a group, version or spelling that no API server has: the API server
refuses them, or drops what it does not know. Nothing else of the object is judged until that is put right.`,
}, examples)

// NotJudged is found where something is not known here, or not understood.
var NotJudged = Register(Check{
	ID: "not-judged", Severity: Note, About: OfBoth,
	Title: "Not judged",
	Text: `What is not in the input is not known, and what is of another kind is not understood: a Service or AppTier that an
AppTier refers to, nodes and the API server, policies of other kinds (AdminNetworkPolicy, Calico's, Cilium's), files that
are no manifests. It may be right or wrong. Give what is missing as well, or ask the cluster with --cluster.`,
}, examples)

// OverBudget is found where enforcers would refuse an object, because it asks for too much.
var OverBudget = Register(Check{
	ID: "over-budget", Severity: Reject, About: OfBoth,
	Title: "Asks for more than enforcers carry",
	Text: `Each policy, and all of a namespace together, may ask every node for so many rules, ports and addresses
(docs/limits.md): above that an enforcer isolates the pods and allows nothing. Above half of it is a warning. Join
rules that say the same, or split the namespace.`,
}, examples)

// TooBig is found where judging takes more than a request may.
var TooBig = Register(Check{
	ID: "too-big-to-judge", Severity: Reject, About: OfBoth,
	Title: "Too big to judge",
	Text: `Judging an object at admission may take so many steps, and so much time. What takes more is refused, because
nothing passes unjudged. Join peers and ports that say the same, or split it.`,
}, examples)
