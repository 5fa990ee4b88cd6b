package main

import (
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

const (
	managerNamespace  = "apptier-system"
	enforcerNamespace = "apptier-enforcer"
)

// Conditions of templates, by the values of the chart.
const (
	ifCRDs            = ".Values.crds.enabled"
	ifEnforcer        = ".Values.enforcer.enabled"
	ifNRI             = ".Values.enforcer.nri"
	ifEnforcerMetrics = ".Values.enforcer.metrics"
	ifObserve         = ".Values.enforcer.observe"
	ifStrict          = ".Values.webhook.strict"
	ifCertManager     = ".Values.webhook.certManager"
	ifWidenVerb       = ".Values.webhook.widenVerb"
	ifMonitors        = ".Values.monitors.enabled"
	ifAlerts          = ".Values.alerts.enabled"
	ifDashboard       = ".Values.dashboard.enabled"
	ifRunning         = "and " + ifEnforcer + " (not .Values.enforcer.cleanup)"
	ifCleanup         = "and " + ifEnforcer + " .Values.enforcer.cleanup"
)

// components are those of config/components that bring objects, and when they do. What components change about other
// objects is below.
var components = []struct{ name, condition string }{
	{"alerts", ifAlerts},
	{"cert-manager", ifCertManager},
	{"dashboard", ifDashboard},
	{"enforcer-alerts", "and " + ifEnforcer + " " + ifEnforcerMetrics + " " + ifAlerts},
	{"enforcer-metrics", "and " + ifEnforcer + " " + ifEnforcerMetrics},
	{"enforcer-monitors", "and " + ifEnforcer + " " + ifEnforcerMetrics + " " + ifMonitors},
	{"monitors", ifMonitors},
	{"widen-verb", ifWidenVerb},
}

// objectsOf are the objects of config/default, and those that components add.
func objectsOf(repository string) ([]*object, error) {
	var objects []*object
	known := map[string]bool{}
	add := func(condition, base string, components ...string) error {
		nodes, err := build(repository, base, components, types.Kustomization{})
		if err != nil {
			return err
		}
		for _, node := range nodes {
			o := &object{RNode: node, condition: condition}
			// Helm makes the namespace that it installs into, or finds it.
			if known[fileName(o)] || o.GetKind() == "Namespace" && o.GetName() == managerNamespace {
				continue
			}
			known[fileName(o)] = true
			objects = append(objects, o)
		}
		return nil
	}
	if err := add("", "default"); err != nil {
		return nil, err
	}
	for _, component := range components {
		if err := add(component.condition, "default", component.name); err != nil {
			return nil, err
		}
	}
	err := add(ifCleanup, "cleanup")
	return objects, err
}

// edit says what the chart's values change about an object.
func edit(o *object) {
	o.labels("metadata", "labels")
	// What has no namespace is the enforcer's by its name.
	if o.condition == "" && (o.GetNamespace() == enforcerNamespace || strings.HasPrefix(o.GetName(), "apptier-enforcer")) {
		o.condition = ifEnforcer
	}
	switch o.GetKind() + " " + o.GetName() {
	case "CustomResourceDefinition apptiers.policy.apptier.dev":
		o.condition = ifCRDs
		// AppTiers are the users', and outlive the chart.
		o.lines("{{- if .Values.crds.keep }}\nhelm.sh/resource-policy: keep\n{{- end }}", "metadata", "annotations")
	case "CustomResourceDefinition nodereports.policy.apptier.dev", "CustomResourceDefinition stagednetworkpolicies.policy.apptier.dev":
		o.condition = ifCRDs
	case "Service apptier-connections-service", "Secret apptier-connections-cert", "APIService v1alpha1.connections.apptier.dev",
		"ClusterRole apptier-connections-asker", "ClusterRoleBinding apptier-connections-asker",
		"RoleBinding apptier-manager-authentication-reader":
		o.condition = ifEnforcer // which sees connections
	case "Deployment apptier-manager":
		editManager(o)
	case "PodDisruptionBudget apptier-manager":
		// One of one would keep a node from being drained for good.
		o.condition = "gt (int .Values.manager.replicas) 1"
	case "DaemonSet apptier-enforcer":
		editEnforcer(o)
	case "DaemonSet apptier-cleanup":
		editCleanup(o)
	case "Secret apptier-webhook-cert":
		o.condition = "not " + ifCertManager
	case "ClusterRole apptier-manager-role":
		o.only("not "+ifCertManager, "", "rules", "2")
	case "Role apptier-manager-role":
		o.only("not "+ifCertManager, "", "rules", "3")
	case "ValidatingWebhookConfiguration apptier-validating-webhook-configuration":
		editWebhooks(o)
	case "ServiceMonitor apptier-manager", "ServiceMonitor apptier-enforcer":
		o.moreLabels(".Values.monitors.labels")
	case "PrometheusRule apptier-manager", "PrometheusRule apptier-enforcer":
		o.moreLabels(".Values.alerts.labels")
	case "ConfigMap apptier-dashboard":
		o.moreLabels(".Values.dashboard.labels")
	}
}

// labels adds what Helm's objects have in common, and says that they are Helm's.
func (o *object) labels(path ...string) {
	if o.err == nil {
		o.err = o.PipeE(kyaml.Lookup("metadata", "labels"), kyaml.Clear("app.kubernetes.io/managed-by"))
	}
	o.lines(`{{- include "apptier.labels" . | nindent INDENT }}`, path...)
}

// moreLabels adds labels that values give.
func (o *object) moreLabels(values string) {
	o.lines("{{- with "+values+" }}\n{{- toYaml . | nindent INDENT }}\n{{- end }}", "metadata", "labels")
}

func editManager(o *object) {
	pod := []string{"spec", "template", "spec"}
	container := append(slices.Clone(pod), "containers", "[name=manager]")
	o.value(".Values.manager.replicas", "spec", "replicas")
	o.values(".Values.manager.resources", append(container, "resources")...)
	o.value(".Values.manager.goMemLimit | quote", append(container, "env", "[name=GOMEMLIMIT]", "value")...)
	o.image(".Values.manager.image", container)
	o.pod(".Values.manager", pod)
	certificate := func(lines string) string { return "{{- if " + ifCertManager + " }}\n" + lines + "\n{{- end }}" }
	o.only(ifEnforcer, "- --connections-port=0", append(container, "args", "0")...)
	o.lines(certificate("- --rotate-certs=false"), append(container, "args")...)
	o.lines(extraArgs(".Values.manager"), append(container, "args")...)
	o.lines(certificate("volumeMounts:\n- name: certs\n  mountPath: /certs\n  readOnly: true"), container...)
	o.lines(certificate("volumes:\n- name: certs\n  secret:\n    secretName: apptier-webhook-cert"), pod...)
}

func editEnforcer(o *object) {
	o.condition = ifRunning
	pod := []string{"spec", "template", "spec"}
	container := append(slices.Clone(pod), "containers", "[name=enforcer]")
	o.values(".Values.enforcer.resources", append(container, "resources")...)
	o.image(".Values.enforcer.image", container)
	o.pod(".Values.enforcer", pod)
	o.only("not "+ifEnforcerMetrics, "- --metrics-bind-address=:9808", append(container, "args", "1")...)
	o.lines("{{- if "+ifEnforcerMetrics+" }}\n- --metrics-secure\n{{- end }}", append(container, "args")...)
	o.lines("{{- if not "+ifNRI+" }}\n- --nri-socket=\n{{- end }}", append(container, "args")...)
	o.lines("{{- if "+ifObserve+" }}\n- --mode=observe\n{{- end }}", append(container, "args")...)
	o.lines(extraArgs(".Values.enforcer"), append(container, "args")...)
	o.only(ifNRI, "", append(container, "volumeMounts", "[name=nri]")...)
	o.only(ifNRI, "", append(pod, "volumes", "[name=nri]")...)
}

// editCleanup is for the pods that take the rules away; they run wherever an enforcer may have run.
func editCleanup(o *object) {
	pod := []string{"spec", "template", "spec"}
	o.image(".Values.enforcer.image", append(slices.Clone(pod), "initContainers", "[name=cleanup]"))
	o.image(".Values.enforcer.image", append(slices.Clone(pod), "containers", "[name=stay]"))
	o.pod(".Values.enforcer", pod)
}

func editWebhooks(o *object) {
	for _, webhook := range []string{"apptier.policy.apptier.dev", "checked.networkpolicy.policy.apptier.dev"} {
		o.value(`ternary "Fail" "Ignore" `+ifStrict, "webhooks", "[name="+webhook+"]", "failurePolicy")
	}
	const inject = "annotations:\n  cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/apptier-webhook"
	o.lines("{{- if "+ifCertManager+" }}\n"+inject+"\n{{- end }}", "metadata")
}

func (o *object) image(values string, container []string) {
	o.value(`include "apptier.image" (list . `+values+`)`, append(container, "image")...)
	o.value(".Values.imagePullPolicy", append(container, "imagePullPolicy")...)
}

// pod is what values say of pods of either kind.
func (o *object) pod(values string, pod []string) {
	o.lines(`app.kubernetes.io/version: {{ include "apptier.version" . }}`, "spec", "template", "metadata", "labels")
	o.values(values+".nodeSelector", append(pod, "nodeSelector")...)
	o.values(values+".tolerations", append(pod, "tolerations")...)
	o.lines("{{- with .Values.imagePullSecrets }}\nimagePullSecrets:\n{{- toYaml . | nindent INDENT }}\n{{- end }}", pod...)
}

func extraArgs(values string) string {
	return "{{- with " + values + ".extraArgs }}\n{{- toYaml . | nindent INDENT }}\n{{- end }}"
}
