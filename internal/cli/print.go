package cli

import (
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/printers"
)

// policyWriter returns what prints policies in a format.
func policyWriter(format string) (func(io.Writer, []runtime.Object) error, error) {
	switch format {
	case "yaml":
		return each(&printers.YAMLPrinter{}), nil
	case "name":
		return each(&printers.NamePrinter{}), nil
	case "json":
		return writeList, nil
	default:
		return nil, fmt.Errorf("--output %q is not known: use yaml, json, name or mermaid", format)
	}
}

func each(printer printers.ResourcePrinter) func(io.Writer, []runtime.Object) error {
	return func(out io.Writer, policies []runtime.Object) error {
		var problems []error
		for _, policy := range policies {
			problems = append(problems, printer.PrintObj(policy, out))
		}
		return errors.Join(problems...)
	}
}

// writeList writes one list, since JSON has no documents.
func writeList(out io.Writer, policies []runtime.Object) error {
	list := &corev1.List{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "List"},
		Items:    make([]runtime.RawExtension, 0, len(policies)),
	}
	for _, policy := range policies {
		list.Items = append(list.Items, runtime.RawExtension{Object: policy})
	}
	return (&printers.JSONPrinter{}).PrintObj(list, out)
}
