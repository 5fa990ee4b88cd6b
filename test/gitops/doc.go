// Package gitops tests what deploys from Git makes of the status of AppTiers: Argo CD by config/argocd, Flux and others by
// kstatus.
package gitops
