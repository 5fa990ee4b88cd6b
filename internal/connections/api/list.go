package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/authentication/user"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// list answers with the connections that have an end in a namespace, or with all.
func (h *handler) list(ctx context.Context, r *http.Request, who user.Info) (any, error) {
	wanted, err := selectionOf(r)
	if err != nil {
		return nil, err
	}
	found, err := h.seenBy(ctx, who, r.PathValue("namespace"), wanted.since)
	if err != nil {
		return nil, err
	}
	found.Items = slices.DeleteFunc(found.Items, func(c connections.Connection) bool { return !wanted.matches(c) })
	if includes, ok := asTable(r); ok {
		return tableOf(found, includes), nil
	}
	return found, nil
}

// get answers with one connection.
func (h *handler) get(ctx context.Context, r *http.Request, who user.Info) (any, error) {
	found, err := h.seenBy(ctx, who, r.PathValue("namespace"), time.Time{})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(found.Items, func(c connections.Connection) bool { return c.Name == r.PathValue("name") })
	if i < 0 {
		return nil, apierrors.NewNotFound(groupResource, r.PathValue("name"))
	}
	if includes, ok := asTable(r); ok {
		return tableOf(connections.ConnectionList{Items: found.Items[i : i+1]}, includes), nil
	}
	return found.Items[i], nil
}

// seenBy lists what somebody may see.
func (h *handler) seenBy(ctx context.Context, who user.Info, namespace string, since time.Time) (connections.ConnectionList, error) {
	var none connections.ConnectionList
	may, err := h.MayList(ctx, who, namespace)
	if err != nil {
		return none, fmt.Errorf("asking what %s may list: %w", who.GetName(), err)
	}
	if !may {
		return none, forbidden(who, namespace)
	}
	if h.turns.Acquire(ctx, 1) != nil {
		return none, apierrors.NewTooManyRequests("too many ask for connections at once", 1)
	}
	defer h.turns.Release(1)
	found := h.Lister.List(ctx, namespace, since)
	if namespace != "" {
		h.narrow(ctx, who, namespace, &found)
	}
	found.SetGroupVersionKind(connections.GroupVersion.WithKind("ConnectionList"))
	for i := range found.Items {
		found.Items[i].SetGroupVersionKind(connections.GroupVersion.WithKind("Connection"))
	}
	if found.Items == nil {
		found.Items = []connections.Connection{}
	}
	return found, nil
}

func forbidden(who user.Info, namespace string) error {
	where := "in namespace " + strconv.Quote(namespace)
	if namespace == "" {
		where = "in all namespaces"
	}
	return apierrors.NewForbidden(groupResource, "", fmt.Errorf(
		"who may list apptiers.policy.apptier.dev %s sees its connections, and %q may not", where, who.GetName()))
}

// selection is what a request asks for.
type selection struct {
	since  time.Time
	labels labels.Selector
	fields fields.Selector
}

// selectionOf reads the query of a request. There are no labels, so only a selector that asks for none matches.
func selectionOf(r *http.Request) (s selection, err error) {
	query := r.URL.Query()
	if watch, _ := strconv.ParseBool(query.Get("watch")); watch {
		return s, apierrors.NewMethodNotSupported(groupResource, "watch")
	}
	if text := query.Get("since"); text != "" {
		if s.since, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return s, apierrors.NewBadRequest(fmt.Sprintf("since %q is no time: write it as in 2026-11-30T14:02:07Z", text))
		}
	}
	if s.labels, err = labels.Parse(query.Get("labelSelector")); err != nil {
		return s, apierrors.NewBadRequest(err.Error())
	}
	if s.fields, err = fields.ParseSelector(query.Get("fieldSelector")); err != nil {
		return s, apierrors.NewBadRequest(err.Error())
	}
	for _, requirement := range s.fields.Requirements() {
		if _, known := fieldsOf(connections.Connection{})[requirement.Field]; !known {
			return s, apierrors.NewBadRequest(fmt.Sprintf(
				"the field %q selects no connections: use metadata.name, metadata.namespace or verdict", requirement.Field))
		}
	}
	return s, nil
}

func (s selection) matches(c connections.Connection) bool {
	return !c.Last.Time.Before(s.since) && s.labels.Matches(labels.Set(c.Labels)) && s.fields.Matches(fieldsOf(c))
}

func fieldsOf(c connections.Connection) fields.Set {
	return fields.Set{"metadata.name": c.Name, "metadata.namespace": c.Namespace, "verdict": string(c.Verdict)}
}
