// Package agent keeps one node's kernel in sync with the cluster: it watches pods, namespaces, its node,
// NetworkPolicies and, if the cluster has them, StagedNetworkPolicies. Every change triggers a sync at once, and
// a sync is at most one nftables transaction. Changes during a sync share the next one.
//
// It fails static: while the API server is gone, a transaction fails or the agent itself is dead,
// the last good rules stay in the kernel. Only `enforcer cleanup` removes them.
//
// What can go wrong, and what the agent does:
//
//   - A transaction fails: the agent retries from scratch, with increasing delays. If that fails too, it
//     closes the policies whose rules the kernel refuses, and enforces the others as they are written
//     (refused.go).
//   - Somebody edits or deletes the table, if the kernel allows this to others than its owner (nft.Owned): the
//     agent writes it again at once (Syncer.Glance), or within seconds if only elements differ (Syncer.Verify).
//     It never reads other tables for this.
//   - A second agent starts on the node: it says so and ends (Lock). Only root can hold the lock.
//   - A port is in use: the agent enforces without it, and retries (serve.go).
//   - A sync hangs: the process ends, so that it is restarted (Options.Hung). The kubelet does not probe for
//     this: a process that holds the probe's port could make the kubelet kill an agent that works.
//   - The API server cannot be reached: requests wait for it (WaitForServer).
//   - A change is not in the kernel after a minute, or changes are not known because the cluster cannot be
//     watched: the node is not ready (ready.go), and /readyz, a metric, the log and Events on the Node say so.
//     Other packages add reasons to Options.Health.
//   - A part of a policy cannot be read: it allows nothing. Log, metric and an Event on the policy
//     say so (problems.go).
//   - StagedNetworkPolicies do not exist or cannot be watched or read, or the kernel refuses their rules: what they
//     would deny is not counted, and all else stays as it is (staged.go, refused.go).
//   - What the kernel recorded of connections cannot be read, or not quickly: a warning, and the list of connections, say
//     so (record.go).
package agent
