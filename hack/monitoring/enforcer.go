package main

// enforcers are the targets that the ServiceMonitor of config/components/enforcer-monitors finds; node names each.
const enforcers = `{job="apptier-enforcer-metrics", namespace="apptier-enforcer"}`

// enforcerAlerts are about what filters packets, and about what it drops.
func enforcerAlerts() []alert {
	return append(nodeAlerts(), deniedAlerts()...)
}

func nodeAlerts() []alert {
	return []alert{
		{
			name: "ApptierEnforcersGone", expr: `absent(up` + enforcers + `)`, wait: "10m", severity: critical, runbook: "enforcer-gone",
			summary:     "Prometheus finds no enforcer of apptier.",
			description: "Nodes filter by their last rules, and no change reaches them; a node that starts now does not filter.",
		},
		{
			name: "ApptierEnforcerDown", expr: `up` + enforcers + ` == 0`, wait: "10m", severity: critical, runbook: "enforcer",
			summary:     "The enforcer of node {{ $labels.node }} does not answer.",
			description: "The node filters by its last rules, and changes do not reach it. Pods that start there have no network.",
		},
		{
			name: "ApptierNodeNotReady", wait: "5m", severity: critical, runbook: "enforcer",
			expr:        `max by (node, reason) (apptier_enforcer_not_ready) == 1`,
			summary:     "Node {{ $labels.node }} does not enforce its policies as they are now: {{ $labels.reason }}.",
			description: "Events on the Node say why, and what to do.",
		},
		{
			name: "ApptierNodeWarning", wait: "15m", severity: warning, runbook: "enforcer",
			expr:        `max by (node, reason) (apptier_enforcer_warning) == 1`,
			summary:     "Something is wrong on node {{ $labels.node }}, although it enforces: {{ $labels.reason }}.",
			description: "Events on the Node say why, and what to do.",
		},
		{
			name: "ApptierSyncFails", wait: "10m", severity: warning, runbook: "enforcer",
			expr:        `sum by (node) (increase(apptier_enforcer_sync_failures_total[10m])) > 3`,
			summary:     "Node {{ $labels.node }} fails to write its rules.",
			description: "The last good rules stay in force. The enforcer's log has the kernel's answer.",
		},
		{
			name: "ApptierRulesChangedByOthers", severity: warning, runbook: "flushed-rules",
			expr:        `sum by (node) (increase(apptier_enforcer_table_repairs_total[15m])) > 0`,
			summary:     "Somebody else changed apptier's rules on node {{ $labels.node }}.",
			description: "The enforcer wrote them again. Before Linux 6.9 the node was open for a tenth of a second or so.",
		},
		{
			name: "ApptierPodsStartClosed", severity: warning, runbook: "enforcer",
			expr:        `sum by (node) (increase(apptier_enforcer_announced_pods_total{result="failed"}[15m])) > 0`,
			summary:     "Pods start on node {{ $labels.node }} before their rules are written.",
			description: "Nothing forbidden passes, but what such a pod sends at first is dropped.",
		},
		{
			name: "ApptierPolicyAboveBudget", wait: "5m", severity: warning, runbook: "budgets",
			expr:        `max by (policy, of, item, limit) (apptier_enforcer_policy_excess) > 0`,
			summary:     "{{ $labels.policy }} is refused: its {{ $labels.of }} has {{ $value }} {{ $labels.item }}, above the limit of {{ $labels.limit }}.",
			description: "The policy isolates the pods that it selects, and allows nothing.",
		},
		{
			name: "ApptierPolicyNotEnforced", wait: "5m", severity: warning, runbook: "not-enforced",
			expr:        `max by (node) (apptier_enforcer_policy_problems) > 0`,
			summary:     "{{ $value }} parts of policies cannot be enforced on node {{ $labels.node }}, and allow nothing.",
			description: "Events with the reason NotEnforced name the policies and the fields.",
		},
	}
}

// deniedAlerts tell of packets: of attempts to get around the rules, and of much more that is denied than before.
func deniedAlerts() []alert {
	return []alert{
		{
			name: "ApptierSpoofedPackets", wait: "5m", severity: warning, runbook: "spoofed",
			expr: `sum by (node) (rate(apptier_enforcer_denied_packets_total{reason="spoofed"}[5m])) > 0.1` +
				` or sum by (node) (rate(apptier_enforcer_bridge_denied_frames_total{reason="spoofed"}[5m])) > 0.1`,
			summary:     "Pods of node {{ $labels.node }} send packets from addresses that are not theirs.",
			description: "They are dropped. Somebody tries to get around the rules, or a program of its own networking runs in a pod.",
		},
		{
			name: "ApptierDeniesMore", wait: "15m", severity: info, runbook: "denied",
			expr: `sum by (node) (rate(apptier_enforcer_denied_packets_total{reason=~"ingress|egress"}[10m]))` +
				` > 1 + 5 * sum by (node) (rate(apptier_enforcer_denied_packets_total{reason=~"ingress|egress"}[10m] offset 1d))`,
			summary:     "Policies deny {{ $value | humanize }} packets a second on node {{ $labels.node }}, more than five times as many as a day ago.",
			description: "A connection that nobody declared, a policy that closes too much, or somebody who looks around.",
		},
	}
}
