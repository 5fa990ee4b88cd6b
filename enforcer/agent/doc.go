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
//   - Somebody edits or deletes the table, where the kernel lets anybody but its owner do so (nft.Owned): it is
//     written again at once (Syncer.Glance), or within seconds if only elements differ (Syncer.Verify). Other
//     tables are never looked at.
//   - A second agent starts on the node: it says so and ends (Lock). Nobody but root can pretend to be one.
//   - A port is taken: the agent enforces without it, and tries again (serve.go).
//   - A sync hangs: the process ends, so that it is started again (Options.Hung). The kubelet is not asked to
//     probe for that: whoever holds the port of the probe could have it end an agent that works.
//   - The API server cannot be reached: requests wait for it (WaitForServer).
//   - What has changed is not in the kernel after a minute, or is not known, because the cluster cannot be
//     watched: the node is not ready (ready.go), which /readyz, a metric, the log and Events on the Node say.
//     Others add reasons of theirs to Options.Health.
//   - A part of a policy cannot be read: it allows nothing. Log, metric and an Event on the policy
//     say so (problems.go).
package agent
