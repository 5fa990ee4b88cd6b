package api

import (
	"context"
	"encoding/json"
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

// shape is what a request makes of the connections that somebody may see.
type shape func(r *http.Request, found connections.ConnectionList) (any, error)

// seen answers with connections. The answer has a turn until it is sent, so that slow readers take no more memory than others.
func (h *handler) seen(as func(selection) shape) http.Handler {
	return h.authenticated(func(ctx context.Context, w http.ResponseWriter, r *http.Request, who user.Info) {
		leave, err := h.turns.own(who)
		if err != nil {
			h.fail(w, err)
			return
		}
		defer leave()
		wanted, err := selectionOf(r)
		if err == nil {
			err = h.check(ctx, who, r.PathValue("namespace"))
		}
		if err != nil {
			h.fail(w, err)
			return
		}
		leaveAll, err := h.turns.take(ctx)
		if err != nil {
			h.fail(w, err)
			return
		}
		defer leaveAll()
		text, err := h.textOf(ctx, who, r, wanted, as(wanted))
		if err != nil {
			h.fail(w, err)
			return
		}
		h.send(w, http.StatusOK, text)
	})
}

// textOf is an answer, without the list that it is made of.
func (h *handler) textOf(ctx context.Context, who user.Info, r *http.Request, wanted selection, as shape) ([]byte, error) {
	leave, err := h.turns.make(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	body, err := as(r, h.seenBy(ctx, who, r.PathValue("namespace"), wanted.since))
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("writing connections: %w", err)
	}
	return text, nil
}

// listed answers with the connections that are wanted.
func listed(wanted selection) shape {
	return func(r *http.Request, found connections.ConnectionList) (any, error) {
		found.Items = slices.DeleteFunc(found.Items, func(c connections.Connection) bool { return !wanted.matches(c) })
		if includes, ok := asTable(r); ok {
			return tableOf(found, includes), nil
		}
		return found, nil
	}
}

// one answers with one connection.
func one(selection) shape {
	return func(r *http.Request, found connections.ConnectionList) (any, error) {
		i := slices.IndexFunc(found.Items, func(c connections.Connection) bool { return c.Name == r.PathValue("name") })
		if i < 0 {
			return nil, apierrors.NewNotFound(groupResource, r.PathValue("name"))
		}
		if includes, ok := asTable(r); ok {
			return tableOf(connections.ConnectionList{Items: found.Items[i : i+1]}, includes), nil
		}
		return found.Items[i], nil
	}
}

// check returns an error unless somebody may see the connections of a namespace, or all.
func (h *handler) check(ctx context.Context, who user.Info, namespace string) error {
	may, err := h.MayList(ctx, who, namespace)
	if err != nil {
		return fmt.Errorf("asking what %s may list: %w", who.GetName(), err)
	}
	if !may {
		return forbidden(who, namespace)
	}
	return nil
}

// seenBy lists what somebody may see who may see a namespace.
func (h *handler) seenBy(ctx context.Context, who user.Info, namespace string, since time.Time) connections.ConnectionList {
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
	return found
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
