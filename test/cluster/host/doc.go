// Package host makes, finds and removes on this machine what the machines of a cluster are made of: network namespaces,
// control groups and processes.
package host

import "os"

// Exists says whether there is a file at a path.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
