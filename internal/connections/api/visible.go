package api

import (
	"context"
	"slices"

	"k8s.io/apiserver/pkg/authentication/user"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// mostOthers is in how many other namespaces it is asked what somebody may list. In the rest he sees what everybody does.
const mostOthers = 64

// narrow leaves of a list what somebody may see who may list AppTiers in one namespace: the connections with an end there,
// and of other ends the name of the pod and of its workload, unless he may list AppTiers there as well.
func (h *handler) narrow(ctx context.Context, who user.Info, namespace string, list *connections.ConnectionList) {
	list.Items = slices.DeleteFunc(list.Items, func(c connections.Connection) bool {
		return c.Source.Namespace != namespace && c.Destination.Namespace != namespace
	})
	may := h.others(ctx, who, namespace, list.Items)
	for i := range list.Items {
		c := &list.Items[i]
		c.Namespace = namespace
		for _, end := range []*connections.End{&c.Source, &c.Destination} {
			if !may[end.Namespace] {
				end.AppTier, end.Tier = "", ""
			}
		}
		if !may[deciding(*c)] {
			c.Because = nil
		}
	}
}

// others says of the namespaces of connections' ends in which somebody may list AppTiers. What cannot be found out he may not.
func (h *handler) others(ctx context.Context, who user.Info, namespace string, items []connections.Connection) map[string]bool {
	may := map[string]bool{namespace: true}
	for _, c := range items {
		for _, other := range []string{c.Source.Namespace, c.Destination.Namespace} {
			if _, asked := may[other]; asked || other == "" || len(may) > mostOthers {
				continue
			}
			allowed, err := h.MayList(ctx, who, other)
			if err != nil {
				h.Log.Error(err, "Cannot ask what somebody may list", "namespace", other)
			}
			may[other] = allowed && err == nil
		}
	}
	return may
}

// deciding is the namespace of the side whose policies decided; empty if none did.
func deciding(c connections.Connection) string {
	switch c.Direction {
	case connections.Egress:
		return c.Source.Namespace
	case connections.Ingress:
		return c.Destination.Namespace
	default:
		return ""
	}
}
