// Package flows gives the connections that a node's kernel saw their names: which pods were at the ends, and which
// policies decided. It is pure: readings of the kernel, changes of pods and the time are its arguments.
package flows
