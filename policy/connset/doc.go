// Package connset does arithmetic on sets of connections: which connections does one NetworkPolicy
// allow that others do not?
//
// Sets are described by conditions on labels, addresses and ports, not listed, so that an answer
// holds for every pod that exists and for every one that could. A [Box] is a product of one set for
// each dimension: a label of the pod that a policy selects, a label of its peer or of the peer's
// namespace, the peer's address, the port. What is left of a box when others are taken out of it is
// a list of boxes, and any point of one is a witness.
//
// Package reach defines what a policy means; this package is tested against it.
package connset
