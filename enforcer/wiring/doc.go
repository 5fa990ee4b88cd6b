// Package wiring looks after how the pods of a node are wired: it binds their addresses to the ports of
// bridges (package bind), tells the compiler which interfaces lead where, and reports what keeps packets from
// being judged at all.
package wiring
