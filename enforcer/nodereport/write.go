package nodereport

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/apptier/apptier/api/v1alpha1"
)

// FieldManager owns the fields of reports.
const FieldManager = "apptier-enforcer"

// WriteTo returns what writes reports to an API server.
func WriteTo(config *rest.Config) (func(context.Context, Report) error, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for reports: %w", err)
	}
	reports := client.Resource(v1alpha1.GroupVersion.WithResource("nodereports"))
	return func(ctx context.Context, report Report) error {
		object, err := objectOf(report)
		if err != nil {
			return err
		}
		_, err = reports.Apply(ctx, report.Node, object, metav1.ApplyOptions{FieldManager: FieldManager, Force: true})
		if err != nil {
			return fmt.Errorf("applying NodeReport %s: %w", report.Node, err)
		}
		return nil
	}, nil
}

// objectOf is everything that the enforcer says, so that what it says no more is gone.
func objectOf(report Report) (*unstructured.Unstructured, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&v1alpha1.NodeReport{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "NodeReport"},
		ObjectMeta: metav1.ObjectMeta{
			Name:            report.Node,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: report.Node, UID: report.UID}},
		},
		Status: report.Status,
	})
	if err != nil {
		return nil, fmt.Errorf("converting NodeReport %s: %w", report.Node, err)
	}
	return &unstructured.Unstructured{Object: fields}, nil
}
