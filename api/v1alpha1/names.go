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
	// LabelCheck, with the value Check, makes admission judge the NetworkPolicies of a namespace even
	// while it has no AppTier. With config/components/strict nothing passes there unjudged.
	LabelCheck = "policy.apptier.dev/check"
	// Check is the value that LabelCheck must have.
	Check = "true"
)

// Condition types of an AppTier. True is good, except for Conflicted.
const (
	// ConditionAccepted says whether the spec is valid. While it is False, what was applied before
	// stays.
	ConditionAccepted = "Accepted"
	// ConditionResolvedRefs says whether everything that the spec refers to exists and agrees.
	// What does not is left out, and never widens a rule.
	ConditionResolvedRefs = "ResolvedRefs"
	// ConditionConflicted says whether a hand-written NetworkPolicy of the namespace opens what the AppTier
	// closes: for a reason that its annotation gives, or because it is older than the AppTier. Its message
	// names the policy, and a connection. Ready does not depend on it: the AppTier is in force as written,
	// and an exception with a reason must not fail a rollout.
	ConditionConflicted = "Conflicted"
	// ConditionReady says whether the API server has every NetworkPolicy that the current generation
	// of the AppTier asks for. kubectl wait and kstatus read it.
	ConditionReady = "Ready"
	// ConditionProgrammed says whether packets obey the policies of the current generation: every node with pods that they
	// select has them in its kernel. It is Unknown where no enforcer reports.
	ConditionProgrammed = "Programmed"
	// ConditionAudited says whether an AppTier in mode Audit can be enforced: it is True when no connection would have been
	// denied for a day. Wait for it before you set mode: Enforce. It is absent in mode Enforce.
	ConditionAudited = "Audited"
)

// Reasons of conditions.
const (
	// ReasonAccepted: the spec is valid.
	ReasonAccepted = "Accepted"
	// ReasonInvalid: the spec is invalid.
	ReasonInvalid = "Invalid"
	// ReasonResolved: every reference was resolved.
	ReasonResolved = "Resolved"
	// ReasonRefNotFound: a reference names something that does not exist.
	ReasonRefNotFound = "RefNotFound"
	// ReasonPeerNotAccepted: the other AppTier does not name this one.
	ReasonPeerNotAccepted = "PeerNotAccepted"
	// ReasonUnsupportedRef: a reference names something that exists, but cannot be a peer.
	ReasonUnsupportedRef = "UnsupportedRef"
	// ReasonWidened: a NetworkPolicy opens what the AppTier closes.
	ReasonWidened = "Widened"
	// ReasonNotWidened: no NetworkPolicy is known to open what the AppTier closes.
	ReasonNotWidened = "NotWidened"
	// ReasonTooBigToJudge: a NetworkPolicy has too many rules to tell, and no other one is known to open
	// what the AppTier closes.
	ReasonTooBigToJudge = "TooBigToJudge"
	// ReasonNothingDenied: no connection would have been denied for the whole period.
	ReasonNothingDenied = "NothingDenied"
	// ReasonWouldDeny: connections would have been denied in the period.
	ReasonWouldDeny = "WouldDeny"
	// ReasonAuditing: no connection would have been denied yet, and the period is not over.
	ReasonAuditing = "Auditing"
	// ReasonStagedByHand: a StagedNetworkPolicy that people wrote may allow what the AppTier alone would deny.
	ReasonStagedByHand = "StagedByHand"
	// ReasonNotReported: it is not known what would be denied on some nodes.
	ReasonNotReported = "NotReported"
	// ReasonApplied: every NetworkPolicy is as it should be.
	ReasonApplied = "Applied"
	// ReasonApplyFailed: a NetworkPolicy could not be written or removed; the manager retries.
	ReasonApplyFailed = "ApplyFailed"
	// ReasonAllNodes: all nodes with pods that the policies select have them in the kernel.
	ReasonAllNodes = "AllNodes"
	// ReasonNodesBehind: some of these nodes do not, or have not said so yet.
	ReasonNodesBehind = "NodesBehind"
	// ReasonNoEnforcer: no enforcer of this project enforces there. What another one does is not known.
	ReasonNoEnforcer = "NoEnforcer"
)
