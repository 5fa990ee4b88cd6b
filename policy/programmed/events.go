package programmed

import "iter"

// mostEvents is of how many namespaces events are known apart. In between reports there may be more: nobody may take reports,
// and namespaces come and go.
const mostEvents = 10_000

// Events is how far a node has come with the events about one kind of policies. Its zero value has seen none.
type Events struct {
	latest Version
	// gap is the version of the latest list: what came and went since the event before it was never shown.
	gap Version
	// of are the latest events of namespaces, as far as they are not reported.
	of map[string]Version
	// other is the latest of those that are not known apart any more.
	other Version
}

// Saw notes an event of a watch about a policy: it is now as of this version, or gone.
func (e *Events) Saw(namespace string, version Version) {
	e.latest = version
	e.Found(namespace, version)
}

// Found notes what a list shows about a policy that was not known.
func (e *Events) Found(namespace string, version Version) {
	if e.of == nil {
		e.of = map[string]Version{}
	}
	if _, known := e.of[namespace]; !known && len(e.of) >= mostEvents {
		for _, event := range e.of {
			e.other = max(e.other, event)
		}
		clear(e.of)
	}
	e.of[namespace] = max(e.of[namespace], version)
}

// Listed notes that everything up to this version is known. It may be lower than the last: the cluster was restored.
func (e *Events) Listed(version Version) {
	if e.latest != 0 {
		e.gap = version
	}
	e.latest = version
}

// Latest is the version of the latest event.
func (e *Events) Latest() Version { return e.latest }

// Debt is what a node owes the others to report.
type Debt int

const (
	// Nothing is owed: no event concerns a pod of the node.
	Nothing Debt = iota
	// Later means that such an event may have been missed, and only whoever asks for just that event waits to hear of it. After a
	// restart of the API server all nodes owe this at once.
	Later
	// Now means that others wait for it.
	Now
)

// Owes says whether others must hear that all events up to a version are in the kernel now, after they have heard so of
// those up to another: an event between the two concerns a pod of the node. So it is also where the first pod of a
// namespace comes to the node after an event of that namespace.
func (e *Events) Owes(inKernel, reported Version, local iter.Seq[string]) Debt {
	if inKernel < reported {
		return Now // what others believe is not so
	}
	debt := Nothing
	for namespace := range local {
		if event := e.of[namespace]; event > reported && event <= inKernel {
			return Now
		}
		if e.other > reported {
			return Now // it may be of this namespace
		}
		if e.gap > reported && e.gap <= inKernel {
			debt = Later
		}
	}
	return debt
}

// Reported forgets the events that are reported.
func (e *Events) Reported(version Version) {
	for namespace, event := range e.of {
		if event <= version {
			delete(e.of, namespace)
		}
	}
	if e.other <= version {
		e.other = 0
	}
}
