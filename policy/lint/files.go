package lint

// Schema is found where an object cannot be read as what it says it is.
const Schema ID = "schema"

func init() {
	register(Check{
		ID: Schema, Severity: Reject, About: ofBoth,
		Title: "Cannot be read",
		Text: `Text that is no YAML, a field that there is not, a value of another type, keys or objects given twice, a template
that is not rendered, and NetworkPolicies of a group, version or spelling that no API server has: the API server
refuses them, or drops what it does not know. Nothing else of the object is judged until that is put right.`,
	})
}

// NotJudged is found where something is not known here, or not understood.
const NotJudged ID = "not-judged"

func init() {
	register(Check{
		ID: NotJudged, Severity: Note, About: ofBoth,
		Title: "Not judged",
		Text: `What is not in the input is not known, and what is of another kind is not understood: a Service or AppTier that an
AppTier refers to, nodes and the API server, policies of other kinds (AdminNetworkPolicy, Calico's, Cilium's), files that
are no manifests. It may be right or wrong. Give what is missing as well, or ask the cluster with --cluster.`,
	})
}
