// Package nri announces the addresses of a pod before its first instruction runs: the node's container runtime tells
// it about every pod over the Node Resource Interface (https://github.com/containerd/nri). So the addresses are open when
// the pod starts to send. The API server reports them about a second later, and until then the node's gate is closed for
// them.
//
// The runtime waits for an answer, for one pod after the other. So the plugin is connected only while the agent has rules
// in the kernel. It asks for no other event, changes nothing about a pod, never refuses one, and gives up well before the
// runtime does. A pod that starts without an answer starts closed.
//
// It makes pods start faster, and does not guard anything: the gate in the kernel stops an unknown pod, whether the plugin
// runs or not.
package nri
