package controllers

import (
	"context"
	"encoding/json"
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/programmed"
)

// fieldOwner owns every field that this package writes.
const fieldOwner = client.FieldOwner(v1alpha1.ManagedBy)

// execute runs a plan, and stops at the first failure: a later step may deny what an earlier step
// allows.
func (r *AppTierReconciler) execute(ctx context.Context, app *v1alpha1.AppTier, todo plan) error {
	log := ctrl.LoggerFrom(ctx)
	key := client.ObjectKeyFromObject(app)
	copies := map[string]version{}
	var done writes
	defer func() { r.announceWrites(app, done) }()
	for _, s := range todo {
		kind := kindOf(s.staged)
		if s.want != nil {
			now, err := r.apply(ctx, s)
			if err != nil {
				r.written.failed(key)
				return fmt.Errorf("applying %s %s: %w", kind, s.name, err)
			}
			r.written.wrote(key, s, now)
			copies[keyOf(s.name, s.staged)] = now
			done.applied = append(done.applied, called(s))
			log.Info("applied policy", "kind", kind, "policy", s.name)
			continue
		}
		last, ok := copies[keyOf(s.name, s.staged)]
		if !ok {
			last = version{uid: s.have.UID, resourceVersion: s.have.ResourceVersion}
		}
		r.removals.await(key, last.uid, r.Now())
		if err := r.remove(ctx, app.Namespace, s, last); err != nil {
			r.removals.saw(key, last.uid, programmed.Versions{}) // if it is gone nevertheless, the event says when
			r.written.failed(key)
			return fmt.Errorf("deleting %s %s: %w", kind, s.name, err)
		}
		last.deleted = true
		r.written.wrote(key, s, last)
		done.deleted = append(done.deleted, called(s))
		log.Info("deleted policy", "kind", kind, "policy", s.name)
	}
	return nil
}

// apply writes one policy, unless someone else has written it since the plan was made.
func (r *AppTierReconciler) apply(ctx context.Context, s step) (version, error) {
	config, err := applyConfiguration(s.want)
	if err != nil {
		return version{}, err
	}
	options := []client.ApplyOption{fieldOwner}
	// Do not force a policy that did not exist: another client would own it.
	if s.have != nil {
		// Force: overwrite fields that another client changed.
		config.WithResourceVersion(s.have.ResourceVersion)
		options = append(options, client.ForceOwnership)
	}
	if err := r.Client.Apply(ctx, &explicit{config}, options...); err != nil {
		return version{}, err
	}
	return version{uid: *config.UID, resourceVersion: *config.ResourceVersion}, nil // the answer is read into config
}

// remove deletes one policy, unless someone else has written it since the plan was made.
func (r *AppTierReconciler) remove(ctx context.Context, namespace string, s step, seen version) error {
	var policy client.Object = &networkingv1.NetworkPolicy{}
	if s.staged {
		policy = &v1alpha1.StagedNetworkPolicy{}
	}
	policy.SetNamespace(namespace)
	policy.SetName(s.name)
	same := client.Preconditions{UID: &seen.uid, ResourceVersion: &seen.resourceVersion}
	return client.IgnoreNotFound(r.Client.Delete(ctx, policy, same))
}

// explicit is a configuration that writes empty lists of rules. An apply configuration leaves out what is empty, and
// server-side apply keeps a field that is left out while another client owns it: a client that had applied the same
// policy would keep the old rules.
type explicit struct {
	*networkingv1ac.NetworkPolicyApplyConfiguration
}

// MarshalJSON writes the lists of rules also if they are empty.
func (e *explicit) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(e.NetworkPolicyApplyConfiguration)
	if err != nil {
		return nil, err
	}
	var object struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        json.RawMessage            `json:"metadata"`
		Spec            map[string]json.RawMessage `json:"spec"`
	}
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, err
	}
	for _, rules := range []string{"ingress", "egress"} {
		if _, found := object.Spec[rules]; !found {
			object.Spec[rules] = json.RawMessage("[]")
		}
	}
	return json.Marshal(object)
}

// applyConfiguration has everything that a policy should have, and nothing else.
func applyConfiguration(policy *networkingv1.NetworkPolicy) (*networkingv1ac.NetworkPolicyApplyConfiguration, error) {
	spec, err := specConfiguration(policy.Spec)
	if err != nil {
		return nil, fmt.Errorf("converting it: %w", err)
	}
	config := networkingv1ac.NetworkPolicy(policy.Name, policy.Namespace).
		WithLabels(policy.Labels).
		WithSpec(spec)
	if isStaged(policy) { // which differs in nothing else
		config.WithKind(kindStaged).WithAPIVersion(v1alpha1.GroupVersion.String())
	}
	for _, owner := range policy.OwnerReferences {
		reference := metav1ac.OwnerReference().
			WithAPIVersion(owner.APIVersion).WithKind(owner.Kind).WithName(owner.Name).WithUID(owner.UID)
		reference.Controller, reference.BlockOwnerDeletion = owner.Controller, owner.BlockOwnerDeletion
		config.WithOwnerReferences(reference)
	}
	return config, nil
}

// specConfiguration converts through JSON: an apply configuration has the fields of its type, each
// optional.
func specConfiguration(spec networkingv1.NetworkPolicySpec) (*networkingv1ac.NetworkPolicySpecApplyConfiguration, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	config := networkingv1ac.NetworkPolicySpec()
	return config, json.Unmarshal(text, config)
}
