package seen

import (
	"slices"
	"strings"
	"time"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// wanted is what of a list is shown.
type wanted struct {
	verdicts  []connections.Verdict
	namespace string
	// end is the pod, tier, workload or address that an end must be; empty for any.
	end string
	// last is how long ago it was seen at most; 0 for any time.
	last time.Duration
}

func (w wanted) since(now time.Time) time.Time {
	if w.last == 0 {
		return time.Time{}
	}
	return now.Add(-w.last)
}

// of returns the part of a list that is wanted.
func (w wanted) of(list connections.ConnectionList, now time.Time) connections.ConnectionList {
	since := w.since(now)
	list.Items = slices.DeleteFunc(slices.Clone(list.Items), func(c connections.Connection) bool {
		return !slices.Contains(w.verdicts, c.Verdict) || c.Last.Time.Before(since) || !w.isOf(c.Source) && !w.isOf(c.Destination)
	})
	slices.SortStableFunc(list.Items, func(a, b connections.Connection) int { return a.Last.Compare(b.Last.Time) })
	if list.Items == nil {
		list.Items = []connections.Connection{}
	}
	return list
}

// isOf says whether an end is asked about. Another namespace's pods may have the same names.
func (w wanted) isOf(e connections.End) bool {
	if w.end == e.Address && w.end != "" {
		return true
	}
	if w.namespace != "" && e.Namespace != w.namespace {
		return false
	}
	if w.end == "" {
		return true
	}
	names := []string{e.Pod, e.Tier, e.AppTier + "/" + e.Tier, e.Namespace + "/" + e.Pod}
	return slices.Contains(names, w.end) || e.Workload != "" && strings.EqualFold(e.Workload, w.end)
}
