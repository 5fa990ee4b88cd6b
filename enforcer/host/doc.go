// Package host looks at the kernel that the rules live in, and at what else lives there: whether it knows all that
// the rules are made of, and whether rules of others use the same bits of connections' marks or take packets past
// ours. It changes nothing.
package host
