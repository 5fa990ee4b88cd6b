// Package nri hears from the node's container runtime of every pod before its first instruction, by the
// Node Resource Interface (https://github.com/containerd/nri), and announces the pod's addresses, so that
// they are open by the time that anything in the pod sends: the API server tells of them about a second
// later, and until then the node's gate is closed for them.
//
// The runtime waits for an answer, for all pods one after the other. So the plugin is there only while
// the agent has rules in the kernel, asks for no other event, changes nothing about a pod, never refuses
// one, and gives up well before the runtime would. A pod that starts without an answer starts closed.
//
// It is a convenience and no guard: what a pod may not do before it is known, the gate in the kernel
// prevents, whether the plugin runs or not.
package nri
