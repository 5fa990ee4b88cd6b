// Package conntrack changes the marks of the connections that a node's kernel tracks, over ctnetlink: it clears
// the stamps of old rulesets before their generations are used again.
package conntrack
