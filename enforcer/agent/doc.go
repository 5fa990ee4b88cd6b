// Package agent keeps one node's kernel in step with the cluster: informers watch pods, namespaces,
// nodes and NetworkPolicies, every change leads to a sync soon after, and a sync is at most one
// nftables transaction.
//
// It fails static: while the API server is gone, a transaction fails or the agent itself is dead,
// the last good rules stay in the kernel. Nothing but `enforcer cleanup` removes them.
package agent
