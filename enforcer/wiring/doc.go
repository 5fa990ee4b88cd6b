// Package wiring manages how the pods of a node are connected: it binds their addresses to the ports of
// bridges (package bind), tells the compiler where interfaces lead, and reports what lets packets bypass the
// rules.
package wiring
