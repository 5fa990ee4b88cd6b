// Package model reads an AppTier once, for everyone who judges, expands or draws one: its rules and the places that
// they stand at, the ports that a rule means, the kind of a peer, what is referred to, and what a tier isolates.
package model
