// Package host checks the node's kernel: whether it has all features that the rules need, and whether rules of other
// programs use the same bits of connections' marks, or let packets bypass ours. It changes nothing.
package host
