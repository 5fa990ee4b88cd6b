package main

import (
	"fmt"
	"regexp"
	"strings"
)

const pageBegins = `<!-- Written by "make generate" from hack/monitoring: do not edit. -->

# Alerts and a dashboard

With the Prometheus operator, add these components of [config/components](../../config/components) to your kustomization, or
set the values of the chart:

| component | value | what it adds |
| --- | --- | --- |
| ` + "`monitors`" + ` | ` + "`monitors.enabled`" + ` | scrapes the managers |
| ` + "`enforcer-metrics` and `enforcer-monitors`" + ` | ` + "`enforcer.metrics` and `monitors.enabled`" + ` | scrapes the enforcers |
| ` + "`alerts` and `enforcer-alerts`" + ` | ` + "`alerts.enabled`" + ` | the alerts below |
| ` + "`dashboard`" + ` | ` + "`dashboard.enabled`" + ` | a dashboard, for Grafana with a sidecar that loads ConfigMaps |

Prometheus must be allowed to read the metrics: bind the ClusterRole ` + "`apptier-metrics-reader`" + ` to its account. The alerts about
objects that were not judged need the metrics of the API server, too.

Critical is what somebody must look at now: packets may not be judged as the policies say, or nothing answers. A warning can wait
for working hours.
`

// page is what people read about the alerts.
func page() string {
	var b strings.Builder
	b.WriteString(pageBegins)
	for _, part := range []struct {
		title  string
		alerts []alert
	}{{"The manager and the webhook", managerAlerts()}, {"The enforcers", nodeAlerts()}, {"Denied packets", deniedAlerts()}} {
		fmt.Fprintf(&b, "\n## %s\n\n| alert | severity | after | what it says | what to do |\n| --- | --- | --- | --- | --- |\n", part.title)
		for _, a := range part.alerts {
			wait := string(a.wait)
			if wait == "" {
				wait = "at once"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s %s | [%s](../runbooks/%s.md) |\n",
				a.name, a.severity, wait, filled.ReplaceAllStringFunc(a.summary, placeholder), a.description, a.runbook, a.runbook)
		}
	}
	return b.String()
}

// filled is where Prometheus puts a value or a label.
var filled = regexp.MustCompile(`{{ \$(labels\.)?(\w+)[^}]*}}`)

// placeholder is NODE for a label node.
func placeholder(template string) string {
	return strings.ToUpper(filled.FindStringSubmatch(template)[2])
}
