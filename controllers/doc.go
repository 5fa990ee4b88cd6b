// Package controllers keeps the NetworkPolicies of every AppTier as the AppTier asks for, and says
// in its status whether they are. What the policies are is decided by policy/expand; this package
// reads, writes and reports.
package controllers
