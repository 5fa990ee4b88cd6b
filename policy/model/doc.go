// Package model reads an AppTier once, for all packages that judge, expand or draw one: its rules and their places, the
// ports of a rule, the kind of a peer, the references, and what a tier isolates.
package model
