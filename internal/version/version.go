// Package version says which build of apptier is running.
package version

import "runtime/debug"

// Version is set by the linker for releases.
var Version string

// String is the release, or else the module's version and the revision it was built from.
func String() string {
	if Version != "" {
		return Version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return info.Main.Version + " " + setting.Value
		}
	}
	return info.Main.Version
}
