package programmed

import "strconv"

// Version is a resourceVersion. Those of one kind of objects are ordered; 0 is none.
type Version uint64

// ParseVersion reads a resourceVersion; none if it is no number, as Kubernetes promises since 1.35.
func ParseVersion(text string) Version {
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return Version(v)
}

// String is the resourceVersion, and empty for none.
func (v Version) String() string {
	if v == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(v), 10)
}

// Versions are one of each kind of policies.
type Versions struct{ NetworkPolicies, StagedNetworkPolicies Version }
