package main

// onNodes are the nodes that whoever looks has chosen.
const onNodes = `{node=~"$node"}`

func rows() []row {
	return []row{
		{"Does it work?", overview()},
		{"Denied", denied()},
		{"Manager and webhook", manager()},
		{"Enforcers", nodes()},
	}
}

func overview() []panel {
	return []panel{
		{"Managers and enforcers that answer", "Those that Prometheus could ask.", "short", []series{
			{`sum(up` + managers + `)`, "managers"},
			{`sum(up` + enforcers + `)`, "enforcers"},
			{`count(up` + enforcers + `)`, "nodes with an enforcer"},
		}},
		{"Nodes that do not enforce", "By the reason. Events on the Node say more.", "short", []series{
			{`sum by (reason) (apptier_enforcer_not_ready` + onNodes + `)`, "{{reason}}"},
			{`sum by (reason) (apptier_enforcer_warning` + onNodes + `)`, "warning: {{reason}}"},
		}},
		{"Policies not in force as written", "They isolate their pods, and allow nothing by what cannot be enforced.", "short", []series{
			{`max(apptier_enforcer_policy_problems` + onNodes + `)`, "parts of policies, on the node with most"},
			{`count(max by (policy) (apptier_enforcer_policy_excess` + onNodes + `))`, "policies above a budget"},
		}},
	}
}

func denied() []panel {
	return []panel{
		{"Denied packets", "By what denied them: the policies of the pod that connects (egress) or of the one that is connected to (ingress), " +
			"or what else.", "pps",
			[]series{{`sum by (reason) (rate(apptier_enforcer_denied_packets_total` + onNodes + `[$__rate_interval]))`, "{{reason}}"}}},
		{"Denied packets, by node", "Of ingress and egress alone.", "pps", []series{
			{`sum by (node) (rate(apptier_enforcer_denied_packets_total{node=~"$node", reason=~"ingress|egress"}[$__rate_interval]))`, "{{node}}"},
		}},
		{"Would be denied", "New connections that staged policies would deny, by the side whose policies would. They pass.", "ops", []series{
			{`sum by (direction) (rate(apptier_enforcer_would_deny_connections_total` + onNodes + `[$__rate_interval]))`, "{{direction}}"},
		}},
		{"Packets from addresses of others", "Attempts to get around the rules. They are dropped.", "pps", []series{
			{`sum by (node) (rate(apptier_enforcer_denied_packets_total{node=~"$node", reason="spoofed"}[$__rate_interval]))`, "{{node}}, routed"},
			{`sum by (node, reason) (rate(apptier_enforcer_bridge_denied_frames_total` + onNodes + `[$__rate_interval]))`, "{{node}}, on a bridge: {{reason}}"},
		}},
	}
}

func manager() []panel {
	return []panel{
		{"Reconciles of AppTiers", "How often the manager compared an AppTier with its policies, by how that ended.", "ops", []series{
			{`sum by (result) (rate(controller_runtime_reconcile_total{controller="apptier", namespace="apptier-system"}[$__rate_interval]))`, "{{result}}"},
		}},
		{"AppTiers that wait", "And how long one takes.", "short", []series{
			{`max(workqueue_depth{controller="apptier", namespace="apptier-system"})`, "waiting"},
			{`histogram_quantile(0.99, sum by (le) (rate(` +
				`controller_runtime_reconcile_time_seconds_bucket{controller="apptier", namespace="apptier-system"}[$__rate_interval])))`, "p99 in seconds"},
		}},
		{"Requests to the API server", "Of the managers, by what the API server answered.", "ops", []series{
			{`sum by (code) (rate(rest_client_requests_total{namespace="apptier-system"}[$__rate_interval]))`, "{{code}}"},
		}},
		{"Judged objects", "What the webhook answered, and how often it panicked.", "ops", []series{
			{`sum by (webhook) (rate(controller_runtime_webhook_requests_total{namespace="apptier-system"}[$__rate_interval]))`, "{{webhook}}"},
			{`sum(rate(controller_runtime_webhook_panics_total{namespace="apptier-system"}[$__rate_interval]))`, "panics"},
		}},
		{"How long the webhook takes", "For 99 of 100 requests. The API server waits for 10 s.", "s", []series{
			{`histogram_quantile(0.99, sum by (le, webhook) (rate(` +
				`controller_runtime_webhook_latency_seconds_bucket{namespace="apptier-system"}[$__rate_interval])))`, "{{webhook}}"},
		}},
		{"Not judged", "Objects that the API server let pass, or refused, because the webhook did not answer.", "ops", []series{
			{`sum by (name) (rate(apiserver_admission_webhook_fail_open_count{name=~".*[.]policy[.]apptier[.]dev"}[$__rate_interval]))`, "{{name}} passed"},
			{`sum by (name) (rate(apiserver_admission_webhook_rejection_count{error_type="calling_webhook_error", ` +
				`name=~".*[.]policy[.]apptier[.]dev"}[$__rate_interval]))`, "{{name}} refused"},
		}},
	}
}

func nodes() []panel {
	return []panel{
		{"How long a change takes to compile and commit", "For 99 of 100 changes.", "s", []series{
			{`histogram_quantile(0.99, sum by (le, node) (rate(apptier_enforcer_sync_duration_seconds_bucket` + onNodes + `[$__rate_interval])))`, "{{node}}"},
		}},
		{"Failures and repairs", "Syncs that failed, tables that others changed, and pods that started closed.", "ops", []series{
			{`sum by (node) (rate(apptier_enforcer_sync_failures_total` + onNodes + `[$__rate_interval]))`, "{{node}} failures"},
			{`sum by (node) (rate(apptier_enforcer_table_repairs_total` + onNodes + `[$__rate_interval]))`, "{{node}} repairs"},
			{`sum by (node) (rate(apptier_enforcer_announced_pods_total{node=~"$node", result="failed"}[$__rate_interval]))`, "{{node}} started closed"},
		}},
		{"Since the last success", "Since the kernel last took what the objects say; grows while nothing changes.", "s", []series{
			{`time() - max by (node) (apptier_enforcer_last_success_timestamp_seconds` + onNodes + `)`, "{{node}}"},
		}},
		{"Pods", "With an address of their own.", "short", []series{{`sum by (node) (apptier_enforcer_pods` + onNodes + `)`, "{{node}}"}}},
		{"Size of the ruleset", "Elements of all sets and maps.", "short", []series{{`sum by (node) (apptier_enforcer_elements` + onNodes + `)`, "{{node}}"}}},
		{"Memory", "Resident, of the enforcers' processes.", "bytes", []series{
			{`sum by (node) (process_resident_memory_bytes{job="apptier-enforcer-metrics", namespace="apptier-enforcer", node=~"$node"})`, "{{node}}"},
		}},
	}
}
