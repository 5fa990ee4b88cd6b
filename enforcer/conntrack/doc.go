// Package conntrack changes the marks of the connections that a node's kernel tracks, over ctnetlink: it takes
// away the stamps of rulesets whose numbers are to be used again.
package conntrack
