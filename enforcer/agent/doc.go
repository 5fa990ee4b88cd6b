// Package agent keeps one node's kernel in step with the cluster: it watches pods, namespaces, its node
// and NetworkPolicies, every change leads to a sync at once, and a sync is at most one nftables
// transaction. Changes that come during a sync share the next one.
//
// It fails static: while the API server is gone, a transaction fails or the agent itself is dead,
// the last good rules stay in the kernel. Nothing but `enforcer cleanup` removes them.
//
// What can go wrong, and what comes of it:
//
//   - A transaction fails: it is tried again from scratch, ever later. If that fails too, the
//     policies without whose rules it would not are enforced closed, and the others as they are
//     written (refused.go).
//   - Somebody edits or deletes the table: it is written again within seconds (Syncer.Verify).
//     Other tables are never looked at.
//   - A second agent starts on the node: it says so and ends (Lock).
//   - The API server cannot be reached: requests wait for it (WaitForServer).
//   - A part of a policy cannot be read: it allows nothing. Log, metric and an Event on the policy
//     say so (problems.go).
package agent
