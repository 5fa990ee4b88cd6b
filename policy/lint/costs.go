package lint

// OverBudget is found where enforcers would refuse an object, because it asks for too much.
const OverBudget ID = "over-budget"

func init() {
	register(Check{
		ID: OverBudget, Severity: Reject, About: ofBoth,
		Title: "Asks for more than enforcers carry",
		Text: `Each policy, and all of a namespace together, may ask every node for so many rules, ports and addresses
(docs/limits.md): above that an enforcer isolates the pods and allows nothing. Above half of it is a warning. Join
rules that say the same, or split the namespace.`,
	})
}

// TooBig is found where judging takes more than a request may.
const TooBig ID = "too-big-to-judge"

func init() {
	register(Check{
		ID: TooBig, Severity: Reject, About: ofBoth,
		Title: "Too big to judge",
		Text: `Judging an object at admission may take so many steps, and so much time. What takes more is refused, because
nothing passes unjudged. Join peers and ports that say the same, or split it.`,
	})
}
