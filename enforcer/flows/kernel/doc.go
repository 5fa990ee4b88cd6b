// Package kernel reads the connections that a node's kernel recorded: package compile says what is, and where.
package kernel
