// Package version says which build of apptier is running.
package version

import "runtime/debug"

// Version is set by the linker for releases.
var Version string

// String is the release, or else the module's version, which has the revision that it was built from.
func String() string {
	if Version != "" {
		return Version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
