package nodes

import connections "github.com/apptier/apptier/api/connections/v1alpha1"

// What the fields of a connection take in JSON, in bytes, without the words in them.
const (
	bare       = 480
	barePolicy = 60
)

// sizeOf is how much of a list a connection takes, in units: one, unless its names are long.
func sizeOf(c connections.Connection) int {
	size := bare + len(c.Name) + len(c.Namespace) + len(c.Reason) + len(c.Node)
	for _, end := range []connections.End{c.Source, c.Destination} {
		size += len(end.Address) + len(end.Namespace) + len(end.Pod) + len(end.Workload) + len(end.AppTier) + len(end.Tier)
	}
	for _, policy := range c.Because {
		size += barePolicy + len(policy.Kind) + len(policy.Name) + len(policy.AppTier) + len(policy.Tier)
	}
	return (size + unit - 1) / unit
}

func unitsOf(items []connections.Connection) (units int) {
	for _, c := range items {
		units += sizeOf(c)
	}
	return units
}
