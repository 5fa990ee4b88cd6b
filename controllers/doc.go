// Package controllers writes the NetworkPolicies of every AppTier, and reports in its status whether
// they are in place. policy/expand decides what the policies are; this package reads, writes and
// reports.
package controllers
