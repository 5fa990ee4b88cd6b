// Package programmed decides when a node has an AppTier's policies in its kernel: what an enforcer owes the others to
// report (Events), and what follows from its report (Need).
//
// Versions of objects of one kind are ordered, and a watch shows events in that order. So a node says one number: every
// event about a policy up to this version is in its kernel. It says it again only when something that concerns its pods
// has changed since, so that a change in one namespace makes no node write that has no pods of it.
package programmed
