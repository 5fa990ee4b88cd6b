package learn

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/apptier/apptier/api/v1alpha1"
)

const mostTiers = 64 // as in the schema

// findHosts finds the AppTier that new tiers of each namespace are added to: the only one there, if it is in mode Audit. In
// another mode a tier would be isolated at once, by what was seen alone.
func (l *learning) findHosts() {
	l.hosts = map[string]*v1alpha1.AppTier{}
	for _, app := range l.apps {
		if _, isSecond := l.hosts[app.Namespace]; isSecond || app.Spec.Mode != v1alpha1.Audit || !hasUsualDNS(app) {
			l.hosts[app.Namespace] = nil
			continue
		}
		l.hosts[app.Namespace] = app
	}
}

func hasUsualDNS(app *v1alpha1.AppTier) bool {
	return (app.Spec.DNS.Mode == "" || app.Spec.DNS.Mode == v1alpha1.DNSClusterDNS) && app.Spec.DNS.NodeLocal != v1alpha1.NodeLocalNever
}

// host is the AppTier that the tiers of a new one are added to; nil if it stays one of its own.
func (l *learning) host(app *v1alpha1.AppTier) *v1alpha1.AppTier {
	host := l.hosts[app.Namespace]
	if host == nil || !hasUsualDNS(app) || len(host.Spec.Tiers)+len(app.Spec.Tiers) > mostTiers {
		return nil
	}
	return host
}

// joins says whether a workload that is in no tier will be in the AppTier that another is in: its connections with that
// are declared by the names of tiers then.
func (l *learning) joins(near, far party) bool {
	host := l.hosts[near.namespace]
	return host != nil && len(l.tiersOf(near.workload)) == 0 &&
		slices.ContainsFunc(l.tiersOf(far.workload), func(t tierOf) bool { return t.app == host })
}

// moveTiers adds the tiers of an AppTier to another, with what is said of all of them, and notes how they are called there.
func moveTiers(app, host *v1alpha1.AppTier, moved map[v1alpha1.AppTierReference]v1alpha1.AppTierReference) {
	names := map[string]string{}
	for _, tier := range app.Spec.Tiers {
		name := tier.Name
		for i := 2; isTier(host, name) || i > 2 && isTier(app, name); i++ {
			name = fmt.Sprintf("%s-%d", tier.Name, i)
		}
		names[tier.Name] = name
		was := v1alpha1.AppTierReference{Namespace: app.Namespace, Name: app.Name, Tier: tier.Name}
		moved[was] = v1alpha1.AppTierReference{Namespace: host.Namespace, Name: host.Name, Tier: name}
	}
	for _, tier := range app.Spec.Tiers {
		tier.Name = names[tier.Name]
		for i := range tier.Ingress {
			for j, peer := range tier.Ingress[i].From {
				if peer.Tier != nil {
					name := names[*peer.Tier]
					tier.Ingress[i].From[j].Tier = &name
				}
			}
		}
		if every := app.Spec.EveryTier; every != nil {
			tier.Ingress = append(tier.Ingress, every.Ingress...)
			tier.Egress = append(tier.Egress, every.Egress...)
		}
		host.Spec.Tiers = append(host.Spec.Tiers, tier)
	}
}

// rename has references to tiers that moved lead to where they are.
func rename(app *v1alpha1.AppTier, moved map[v1alpha1.AppTierReference]v1alpha1.AppTierReference) {
	set := func(peers []v1alpha1.Peer) {
		for i := range peers {
			if peers[i].AppTier == nil {
				continue
			}
			full := *peers[i].AppTier
			full.Namespace = cmp.Or(full.Namespace, app.Namespace)
			if to, isMoved := moved[full]; isMoved {
				if to.Namespace == app.Namespace {
					to.Namespace = ""
				}
				peers[i].AppTier = &to
			}
		}
	}
	for i := range app.Spec.Tiers {
		for j := range app.Spec.Tiers[i].Ingress {
			set(app.Spec.Tiers[i].Ingress[j].From)
		}
		for j := range app.Spec.Tiers[i].Egress {
			set(app.Spec.Tiers[i].Egress[j].To)
		}
	}
}

func isTier(app *v1alpha1.AppTier, name string) bool {
	return slices.ContainsFunc(app.Spec.Tiers, func(t v1alpha1.Tier) bool { return t.Name == name })
}
