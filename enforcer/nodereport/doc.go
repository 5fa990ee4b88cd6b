// Package nodereport writes a node's NodeReport: one small object, and only when it says something new that others wait
// for. Enforcement never depends on it: without the kind, the right or the API server, the enforcer tries again later.
package nodereport
