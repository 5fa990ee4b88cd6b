package v1alpha1

// Labels of generated NetworkPolicies.
const (
	// LabelAppTier holds the name of the AppTier, of the same namespace, that a NetworkPolicy was
	// generated from.
	LabelAppTier = "policy.apptier.dev/apptier"
	// LabelTier holds the name of the tier whose pods a NetworkPolicy selects. A policy that
	// holds for a whole namespace has no such label.
	LabelTier = "policy.apptier.dev/tier"
	// LabelManagedBy is the well-known label whose value on generated objects is ManagedBy.
	// See https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of LabelManagedBy, and the field manager of every write.
	ManagedBy = "apptier"
)

// Labels of namespaces.
const (
	// LabelCheck has the NetworkPolicies of a namespace judged at admission, if its value is Check,
	// also while the namespace has no AppTier. The component config/components/strict lets nothing
	// pass unjudged there.
	LabelCheck = "policy.apptier.dev/check"
	// Check is the value of LabelCheck that counts.
	Check = "true"
)

// Condition types of an AppTier. True is well, but for Conflicted.
const (
	// ConditionAccepted says whether the spec is valid. While it is False nothing that was
	// applied before is changed.
	ConditionAccepted = "Accepted"
	// ConditionResolvedRefs says whether everything that the spec refers to exists and agrees.
	// What does not is left out: it never widens a rule.
	ConditionResolvedRefs = "ResolvedRefs"
	// ConditionConflicted says whether a NetworkPolicy of the namespace, by hand, opens what the AppTier
	// closes: for a reason that its annotation gives, or because it is older than the AppTier. Its message
	// names the policy, and a connection. It is no part of Ready: the AppTier is in force as it was
	// written, and an exception that someone has given a reason for must not fail a rollout.
	ConditionConflicted = "Conflicted"
	// ConditionReady says whether every NetworkPolicy of the AppTier is in the API server as the
	// current generation asks for. kubectl wait and kstatus read it.
	ConditionReady = "Ready"
)

// Reasons of conditions.
const (
	// ReasonAccepted: the spec is valid.
	ReasonAccepted = "Accepted"
	// ReasonInvalid: the spec says what cannot be meant, or what is not supported yet.
	ReasonInvalid = "Invalid"
	// ReasonResolved: every reference was resolved.
	ReasonResolved = "Resolved"
	// ReasonRefNotFound: something that is referred to does not exist.
	ReasonRefNotFound = "RefNotFound"
	// ReasonPeerNotAccepted: the other AppTier does not name this one in turn.
	ReasonPeerNotAccepted = "PeerNotAccepted"
	// ReasonUnsupportedRef: what is referred to exists, but cannot be a peer.
	ReasonUnsupportedRef = "UnsupportedRef"
	// ReasonWidened: a NetworkPolicy opens what the AppTier closes.
	ReasonWidened = "Widened"
	// ReasonNotWidened: no NetworkPolicy is known to.
	ReasonNotWidened = "NotWidened"
	// ReasonTooBigToJudge: of a NetworkPolicy it is not known, because it has too many rules; none else is
	// known to.
	ReasonTooBigToJudge = "TooBigToJudge"
	// ReasonApplied: every NetworkPolicy is as it should be.
	ReasonApplied = "Applied"
	// ReasonApplyFailed: a NetworkPolicy could not be written or removed; it is tried again.
	ReasonApplyFailed = "ApplyFailed"
)
