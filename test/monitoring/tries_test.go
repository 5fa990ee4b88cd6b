package monitoring

const (
	manager1  = `up{job="apptier-manager-metrics", namespace="apptier-system", pod="m1"}`
	manager2  = `up{job="apptier-manager-metrics", namespace="apptier-system", pod="m2"}`
	enforcer1 = `up{job="apptier-enforcer-metrics", namespace="apptier-enforcer", node="n1"}`
	enforcer2 = `up{job="apptier-enforcer-metrics", namespace="apptier-enforcer", node="n2"}`

	reconcileErrors = `controller_runtime_reconcile_errors_total{controller="apptier", namespace="apptier-system", pod="m1"}`
	depth           = `workqueue_depth{controller="apptier", namespace="apptier-system", pod="m1"}`
	failOpen        = `apiserver_admission_webhook_fail_open_count{name="apptier.policy.apptier.dev", type="validating"}`
	rejection       = `apiserver_admission_webhook_rejection_count{name="apptier.policy.apptier.dev", error_type="calling_webhook_error"}`
	panics          = `controller_runtime_webhook_panics_total{namespace="apptier-system", pod="m1"}`
	slow            = `controller_runtime_webhook_latency_seconds_bucket{webhook="/validate", namespace="apptier-system", pod="m1", le="1"}`
	slower          = `controller_runtime_webhook_latency_seconds_bucket{webhook="/validate", namespace="apptier-system", pod="m1", le="5"}`
	slowest         = `controller_runtime_webhook_latency_seconds_bucket{webhook="/validate", namespace="apptier-system", pod="m1", le="+Inf"}`

	notReady  = `apptier_enforcer_not_ready{node="n1", reason="NotSynced", instance="10.0.0.1:9808"}`
	warns     = `apptier_enforcer_warning{node="n1", reason="MarkShared", instance="10.0.0.1:9808"}`
	failures  = `apptier_enforcer_sync_failures_total{node="n1"}`
	repairs   = `apptier_enforcer_table_repairs_total{node="n1"}`
	announced = `apptier_enforcer_announced_pods_total{node="n1", result="failed"}`
	excess    = `apptier_enforcer_policy_excess{node="n1", policy="shop/wide", of="policy", item="peers", limit="100"}`
	excessTwo = `apptier_enforcer_policy_excess{node="n2", policy="shop/wide", of="policy", item="peers", limit="100"}`
	problems  = `apptier_enforcer_policy_problems{node="n1"}`
	spoofed   = `apptier_enforcer_denied_packets_total{node="n1", reason="spoofed"}`
	bridged   = `apptier_enforcer_bridge_denied_frames_total{node="n1", reason="spoofed"}`
	ingress   = `apptier_enforcer_denied_packets_total{node="n1", reason="ingress"}`
)

type history = map[string]string

var (
	onNode1 = []string{`{node="n1"}`}
	byName  = []string{`{name="apptier.policy.apptier.dev"}`}
	byPath  = []string{`{webhook="/validate"}`}
)

var tries = []try{
	{"ApptierManagersDown", "none answers", history{manager1: "1x5 0x30", manager2: "1x5 0x30"}, "15m", []string{"{}"}},
	{"ApptierManagersDown", "none is there", history{}, "10m", []string{"{}"}},
	{"ApptierManagersDown", "one answers", history{manager1: "0x30", manager2: "1x30"}, "30m", nil},
	{"ApptierManagersDown", "both start again within a minute", history{manager1: "1x5 0x1 1x30", manager2: "1x5 0x1 1x30"}, "8m", nil},
	{"ApptierManagerDown", "one does not answer", history{manager1: "0x30", manager2: "1x30"}, "20m",
		[]string{`{job="apptier-manager-metrics", namespace="apptier-system", pod="m1"}`}},
	{"ApptierManagerDown", "it is being replaced", history{manager1: "0x10", manager2: "1x30"}, "20m", nil},
	{"ApptierReconcileFails", "it goes on", history{reconcileErrors: "0+1x60"}, "40m", []string{"{}"}},
	{"ApptierReconcileFails", "once", history{reconcileErrors: "0x5 1x60"}, "40m", nil},
	{"ApptierQueueGrows", "many wait", history{depth: "500x60"}, "20m", []string{"{}"}},
	{"ApptierQueueGrows", "a manager has just started", history{depth: "500x5 0x60"}, "20m", nil},
	{"ApptierUnjudged", "they pass", history{failOpen: "0+1x60"}, "20m", byName},
	{"ApptierUnjudged", "all is judged", history{failOpen: "7x60"}, "20m", nil},
	{"ApptierUnjudged", "another webhook", history{`apiserver_admission_webhook_fail_open_count{name="a.example.com"}`: "0+1x60"}, "20m", nil},
	{"ApptierRefusedUnjudged", "they are refused", history{rejection: "0+1x60"}, "20m", byName},
	{"ApptierRefusedUnjudged", "the webhook refuses", history{
		`apiserver_admission_webhook_rejection_count{name="apptier.policy.apptier.dev", error_type="no_error"}`: "0+1x60"}, "20m", nil},
	{"ApptierWebhookPanics", "once", history{panics: "0x10 1x60"}, "12m", []string{"{}"}},
	{"ApptierWebhookPanics", "never since", history{panics: "1x60"}, "20m", nil},
	{"ApptierWebhookSlow", "one in ten", history{slow: "0+90x60", slower: "0+100x60", slowest: "0+100x60"}, "30m", byPath},
	{"ApptierWebhookSlow", "one in a thousand", history{slow: "0+999x60", slower: "0+1000x60", slowest: "0+1000x60"}, "30m", nil},

	{"ApptierEnforcersGone", "none is there", history{}, "20m", []string{`{job="apptier-enforcer-metrics", namespace="apptier-enforcer"}`}},
	{"ApptierEnforcersGone", "one is", history{enforcer1: "0x60"}, "20m", nil},
	{"ApptierEnforcerDown", "it does not answer", history{enforcer1: "0x60", enforcer2: "1x60"}, "20m",
		[]string{`{job="apptier-enforcer-metrics", namespace="apptier-enforcer", node="n1"}`}},
	{"ApptierEnforcerDown", "it starts anew", history{enforcer1: "1x10 0x2 1x60", enforcer2: "1x60"}, "20m", nil},
	{"ApptierNodeNotReady", "for long", history{notReady: "1x60"}, "10m", []string{`{node="n1", reason="NotSynced"}`}},
	{"ApptierNodeNotReady", "at start", history{notReady: "1x2 0x60"}, "10m", nil},
	{"ApptierNodeWarning", "for long", history{warns: "1x60"}, "20m", []string{`{node="n1", reason="MarkShared"}`}},
	{"ApptierNodeWarning", "no more", history{warns: "1x10 0x60"}, "20m", nil},
	{"ApptierSyncFails", "it goes on", history{failures: "0+1x60"}, "30m", onNode1},
	{"ApptierSyncFails", "twice", history{failures: "0x5 2x60"}, "30m", nil},
	{"ApptierRulesChangedByOthers", "once", history{repairs: "0x10 1x60"}, "12m", onNode1},
	{"ApptierRulesChangedByOthers", "long ago", history{repairs: "0x10 1x60"}, "50m", nil},
	{"ApptierPodsStartClosed", "one", history{announced: "0x10 1x60"}, "12m", onNode1},
	{"ApptierPodsStartClosed", "none", history{announced: "4x60"}, "12m", nil},
	{"ApptierPolicyAboveBudget", "on two nodes", history{excess: "150x60", excessTwo: "150x60"}, "10m",
		[]string{`{policy="shop/wide", of="policy", item="peers", limit="100"}`}},
	{"ApptierPolicyAboveBudget", "it has been put right", history{excess: "150x5 _x60"}, "20m", nil},
	{"ApptierPolicyNotEnforced", "parts of it", history{problems: "2x60"}, "10m", onNode1},
	{"ApptierPolicyNotEnforced", "all of it is", history{problems: "0x60"}, "10m", nil},
	{"ApptierSpoofedPackets", "where packets are routed", history{spoofed: "0+60x60"}, "20m", onNode1},
	{"ApptierSpoofedPackets", "on a bridge", history{bridged: "0+60x60", spoofed: "0x60"}, "20m", onNode1},
	{"ApptierSpoofedPackets", "a few when a pod starts", history{spoofed: "0x5 3x60"}, "20m", nil},
	{"ApptierDeniesMore", "than a day ago", history{ingress: "0x1500 0+600x100"}, "1560m", onNode1},
	{"ApptierDeniesMore", "as a day ago", history{ingress: "0+600x1600"}, "1560m", nil},
}
