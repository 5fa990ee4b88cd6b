package main

// managers are the targets that the ServiceMonitor of config/components/monitors finds.
const managers = `{job="apptier-manager-metrics", namespace="apptier-system"}`

// managerAlerts are about what writes policies and judges what is written. What the API server counts is seen from its
// side, since a webhook that cannot be reached counts nothing.
func managerAlerts() []alert {
	return []alert{
		{
			name: "ApptierManagersDown", expr: `absent(up` + managers + ` == 1)`, wait: "5m", severity: critical, runbook: "both-managers",
			summary: "No manager of apptier answers.",
			description: "Policies stay as they are, but edits of them are not repaired, new AppTiers wait, and AppTiers and NetworkPolicies " +
				"pass unjudged or, with the component strict, are refused.",
		},
		{
			name: "ApptierManagerDown", expr: `up` + managers + ` == 0`, wait: "15m", severity: warning, runbook: "one-manager",
			summary:     "The manager {{ $labels.pod }} does not answer.",
			description: "While the other one serves, nothing is lost; if it goes too, nothing judges what is written.",
		},
		{
			name: "ApptierReconcileFails", wait: "15m", severity: warning, runbook: "apply-failed",
			expr:        `sum(increase(controller_runtime_reconcile_errors_total{controller="apptier", namespace="apptier-system"}[10m])) > 0`,
			summary:     "The manager fails to write policies of AppTiers.",
			description: "It has failed for a quarter of an hour and tries again. Ready=False of the AppTiers says why.",
		},
		{
			name: "ApptierQueueGrows", wait: "15m", severity: warning, runbook: "api-server",
			expr:        `max(workqueue_depth{controller="apptier", namespace="apptier-system"}) > 100`,
			summary:     "{{ $value }} AppTiers wait for the manager.",
			description: "Changes of AppTiers take long to become policies: the API server answers slowly, or the manager has too little CPU.",
		},
		{
			name: "ApptierUnjudged", wait: "5m", severity: critical, runbook: "webhook",
			expr:        `sum by (name) (increase(apiserver_admission_webhook_fail_open_count{name=~".*[.]policy[.]apptier[.]dev"}[10m])) > 0`,
			summary:     "The API server lets objects pass that the webhook {{ $labels.name }} has not judged.",
			description: "It cannot reach the managers, or does not trust their certificate. lint judges what came in meanwhile.",
		},
		{
			name: "ApptierRefusedUnjudged", wait: "5m", severity: critical, runbook: "webhook",
			expr: `sum by (name) (increase(apiserver_admission_webhook_rejection_count{` +
				`error_type="calling_webhook_error", name=~".*[.]policy[.]apptier[.]dev"}[10m])) > 0`,
			summary:     "The API server refuses objects because the webhook {{ $labels.name }} does not answer.",
			description: "It cannot reach the managers, or does not trust their certificate. With the component strict nothing passes unjudged.",
		},
		{
			name: "ApptierWebhookPanics", severity: warning, runbook: "webhook",
			expr:        `sum(increase(controller_runtime_webhook_panics_total{namespace="apptier-system"}[15m])) > 0`,
			summary:     "The webhook of apptier panics.",
			description: "What it was asked about was refused. The managers' logs say where; please report it.",
		},
		{
			name: "ApptierWebhookSlow", wait: "10m", severity: warning, runbook: "webhook",
			expr: `histogram_quantile(0.99, sum by (le, webhook) (rate(` +
				`controller_runtime_webhook_latency_seconds_bucket{namespace="apptier-system"}[5m]))) > 2`,
			summary:     "One in a hundred answers of the webhook at {{ $labels.webhook }} takes {{ $value | humanizeDuration }}.",
			description: "The API server waits for 10 seconds at most. The managers have too little CPU, or policies are very large.",
		},
	}
}
