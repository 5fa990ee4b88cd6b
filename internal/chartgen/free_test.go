package main

import (
	"slices"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/resid"
)

const (
	digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	pod    = "/spec/template/spec"
)

// free are ways to set what is neither true nor false, by what they are about.
func free() map[string]func(*way) {
	return map[string]func(*way){
		"five managers": func(w *way) {
			set(w.values, "manager.replicas", 5)
			w.more.Replicas = []types.Replica{{Name: "apptier-manager", Count: 5}}
		},
		"one manager": func(w *way) {
			set(w.values, "manager.replicas", 1)
			w.more.Replicas = []types.Replica{{Name: "apptier-manager", Count: 1}}
			w.without = append(w.without, "PodDisruptionBudget apptier-system/apptier-manager")
		},
		"resources": func(w *way) {
			amounts := map[string]any{"cpu": "1", "memory": "1Gi"}
			resources := map[string]any{"limits": amounts, "requests": amounts}
			set(w.values, "manager.resources", resources)
			set(w.values, "manager.goMemLimit", "900MiB")
			set(w.values, "enforcer.resources", resources)
			w.patchBoth(pod+"/containers/0/resources", `{limits: {cpu: "1", memory: 1Gi}, requests: {cpu: "1", memory: 1Gi}}`)
			w.patch("Deployment", "apptier-manager", pod+"/containers/0/env/1/value", "900MiB")
		},
		"nodes": func(w *way) {
			tolerations := []any{map[string]any{
				"key": "dedicated", "operator": "Equal", "value": "system", "effect": "NoExecute", "tolerationSeconds": 5,
			}}
			for _, program := range []string{"manager", "enforcer"} {
				set(w.values, program+".tolerations", tolerations)
				set(w.values, program+".nodeSelector", map[string]any{"kubernetes.io/os": "linux", "pool": "a"})
			}
			w.patchBoth(pod+"/tolerations", "[{key: dedicated, operator: Equal, value: system, effect: NoExecute, tolerationSeconds: 5}]")
			w.patchBoth(pod+"/nodeSelector/pool", "a")
		},
		"any node": func(w *way) {
			set(w.values, "manager.tolerations", []any{})
			w.patch("Deployment", "apptier-manager", pod+"/tolerations", "[]")
		},
		"flags": func(w *way) {
			set(w.values, "manager.extraArgs", []any{"--dns-service=dns/coredns"})
			set(w.values, "enforcer.extraArgs", []any{"--ct-mark-mask=0xffff"})
			w.patch("Deployment", "apptier-manager", pod+"/containers/0/args/-", "--dns-service=dns/coredns")
			w.patch("DaemonSet", "apptier-enforcer", pod+"/containers/0/args/-", "--ct-mark-mask=0xffff")
		},
		"a mirror": func(w *way) {
			set(w.values, "imageRegistry", "registry.example.com:5000/mirror/")
			set(w.values, "manager.image.tag", "v1.2.3")
			set(w.values, "enforcer.image.tag", "v1.2.4")
			w.more.Images = []types.Image{
				{Name: "apptier/manager", NewName: "registry.example.com:5000/mirror/apptier/manager", NewTag: "v1.2.3"},
				{Name: "apptier/enforcer", NewName: "registry.example.com:5000/mirror/apptier/enforcer", NewTag: "v1.2.4"},
			}
		},
		"digests": func(w *way) {
			set(w.values, "manager.image.repository", "registry.example.com/manager")
			set(w.values, "manager.image.digest", digest)
			set(w.values, "enforcer.image.repository", "registry.example.com/enforcer")
			set(w.values, "enforcer.image.digest", digest)
			w.more.Images = []types.Image{
				{Name: "apptier/manager", NewName: "registry.example.com/manager", NewTag: "dev", Digest: digest},
				{Name: "apptier/enforcer", NewName: "registry.example.com/enforcer", NewTag: "dev", Digest: digest},
			}
		},
		"pulling": func(w *way) {
			set(w.values, "imagePullPolicy", "Always")
			set(w.values, "imagePullSecrets", []any{map[string]any{"name": "registry"}, map[string]any{"name": "mirror"}})
			w.patchBoth(pod+"/imagePullSecrets", "[{name: registry}, {name: mirror}]")
			w.patchBoth(pod+"/containers/0/imagePullPolicy", "Always")
		},
		"labels of monitors": func(w *way) {
			set(w.values, "monitors.labels", map[string]any{"release": "prometheus"})
			w.patch("ServiceMonitor", "apptier-.*", "/metadata/labels/release", "prometheus")
		},
		"alerts":            func(w *way) { alerts(w, "alerts.enabled", "alerts") },
		"dashboard":         func(w *way) { alerts(w, "dashboard.enabled", "dashboard") },
		"another namespace": func(w *way) { w.namespace = "network-policies" },
		"no kinds": func(w *way) {
			set(w.values, "crds.enabled", false)
			for _, kind := range []string{"apptiers", "nodereports", "stagednetworkpolicies"} {
				w.without = append(w.without, "CustomResourceDefinition /"+kind+".policy.apptier.dev")
			}
		},
		"a kind that goes with the chart": func(w *way) { set(w.values, "crds.keep", false) },
		"cleanup": func(w *way) {
			set(w.values, "enforcer.cleanup", true)
			w.cleanup = true
			w.without = append(w.without, "DaemonSet apptier-enforcer/apptier-enforcer")
		},
	}
}

// patch puts a value at a place of kustomize's objects of a kind, if there are any.
func (w *way) patch(kind, name, path, value string) {
	w.more.Patches = append(w.more.Patches, types.Patch{
		Target: &types.Selector{ResId: resid.ResId{Gvk: resid.Gvk{Kind: kind}, Name: name}},
		Patch:  "- {op: add, path: " + path + ", value: " + value + "}",
	})
}

// patchBoth does so with what makes the managers' pods and the enforcers'.
func (w *way) patchBoth(path, value string) {
	w.patch("Deployment", "apptier-manager", path, value)
	w.patch("DaemonSet", "apptier-enforcer", path, value)
}

// alerts adds a component by its value, and that of the enforcers where their metrics are served. Both add objects and
// touch none, so that they are not tried with each set of the toggles.
func alerts(w *way, value, component string) {
	set(w.values, value, true)
	set(w.values, component+".labels", map[string]any{"release": "prometheus"})
	w.components = append([]string{component}, w.components...)
	if component == "alerts" && slices.Contains(w.components, "enforcer-metrics") {
		w.components = append([]string{"enforcer-alerts"}, w.components...)
	}
	w.patch("PrometheusRule", "apptier-.*", "/metadata/labels/release", "prometheus")
	w.patch("ConfigMap", "apptier-dashboard", "/metadata/labels/release", "prometheus")
}
