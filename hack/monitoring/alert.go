package main

import (
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// severity says how soon somebody must look.
type severity string

const (
	// critical: packets may not be judged as the policies say, or nothing answers. At once.
	critical severity = "critical"
	// warning: something does not do what somebody asked for. In working hours.
	warning severity = "warning"
	// info: worth knowing, as part of something else.
	info severity = "info"
)

// alert is one that Prometheus may raise.
type alert struct {
	name string
	expr string
	// wait is how long the expression holds before anybody is told; empty for not at all.
	wait     monitoringv1.Duration
	severity severity
	summary  string
	// description says what it means, for whoever is woken by it.
	description string
	// runbook is the name of a page of docs/runbooks.
	runbook string
}

const runbooks = "https://github.com/apptier/apptier/blob/main/docs/runbooks/"

// ruleOf is what Prometheus evaluates for one part of apptier.
func ruleOf(component, namespace string, alerts []alert) *monitoringv1.PrometheusRule {
	group := monitoringv1.RuleGroup{Name: "apptier-" + component}
	for _, a := range alerts {
		var wait *monitoringv1.Duration
		if a.wait != "" {
			wait = &a.wait
		}
		group.Rules = append(group.Rules, monitoringv1.Rule{
			Alert: a.name, Expr: intstr.FromString(a.expr), For: wait,
			Labels:      map[string]string{"severity": string(a.severity)},
			Annotations: map[string]string{"summary": a.summary, "description": a.description, "runbook_url": runbooks + a.runbook + ".md"},
		})
	}
	return &monitoringv1.PrometheusRule{
		TypeMeta:   metav1.TypeMeta{APIVersion: "monitoring.coreos.com/v1", Kind: "PrometheusRule"},
		ObjectMeta: metav1.ObjectMeta{Name: "apptier-" + component, Namespace: namespace, Labels: labels(component)},
		Spec:       monitoringv1.PrometheusRuleSpec{Groups: []monitoringv1.RuleGroup{group}},
	}
}

func labels(component string) map[string]string {
	return map[string]string{"app.kubernetes.io/name": "apptier", "app.kubernetes.io/component": component}
}
