package seen

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/internal/cli/scene"
)

// source is where connections come from; without a namespace, those of all.
type source struct {
	namespace string
	list      func(ctx context.Context, since time.Time) (connections.ConnectionList, error)
	// isGone says whether a pod is not there any more; nil where nobody can say.
	isGone func(ctx context.Context, namespace, pod string) bool
}

// patience is how long a request may take, unless --request-timeout says so.
const patience = 15 * time.Second

func (o *options) source() (source, error) {
	namespace, _, err := o.cluster.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return source{}, fmt.Errorf("reading kubectl's configuration: %w", err)
	}
	if o.allNamespaces || o.file != "" && !o.namespaceGiven {
		namespace = ""
	}
	if o.file != "" {
		list := func(context.Context, time.Time) (connections.ConnectionList, error) { return o.readFile() }
		return source{namespace: namespace, list: list}, nil
	}
	config, err := scene.ClusterConfig(o.cluster)
	if err != nil {
		return source{}, fmt.Errorf("%w (or give a list that flows -o json wrote, with -f)", err)
	}
	client, err := clientFor(config, connections.GroupVersion, connections.AddToScheme)
	if err != nil {
		return source{}, err
	}
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return source{}, fmt.Errorf("setting up a client: %w", err)
	}
	list := func(ctx context.Context, since time.Time) (list connections.ConnectionList, err error) {
		request := client.Get().NamespaceIfScoped(namespace, namespace != "").Resource("connections")
		if !since.IsZero() {
			request.Param("since", since.UTC().Format(time.RFC3339Nano))
		}
		err = request.Do(ctx).Into(&list)
		return list, taught(err, namespace)
	}
	isGone := func(ctx context.Context, namespace, pod string) bool {
		_, err := core.CoreV1().Pods(namespace).Get(ctx, pod, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}
	return source{namespace, list, isGone}, nil
}

// clientFor is a client of one group and version.
func clientFor(config *rest.Config, of schema.GroupVersion, add func(*runtime.Scheme) error) (*rest.RESTClient, error) {
	scheme := runtime.NewScheme()
	if err := add(scheme); err != nil {
		return nil, fmt.Errorf("setting up a client: %w", err)
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"}) // of a Status
	config = rest.CopyConfig(config)
	config.GroupVersion, config.APIPath = &of, "/apis"
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	if config.Timeout == 0 {
		config.Timeout = patience
	}
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("setting up a client: %w", err)
	}
	return client, nil
}

// taught says what to do about an error of the API.
func taught(err error, namespace string) error {
	where := "in namespace " + namespace
	if namespace == "" {
		where = "in all namespaces; without -A, only in the namespace of -n"
	}
	var advice string
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		advice = "the cluster does not serve connections: apptier with its enforcer does, if its APIService is installed " +
			"(kubectl get apiservice v1alpha1.connections.apptier.dev)"
	case apierrors.IsForbidden(err):
		return fmt.Errorf("you may not see connections: you need the right to list AppTiers %s, "+
			"which the roles view, edit and admin have: %w", where, err)
	case apierrors.IsServiceUnavailable(err), apierrors.ReasonForError(err) == metav1.StatusReasonUnknown && isUnavailable(err):
		advice = "the managers, which answer about connections, are not reached by the API server " +
			"(kubectl describe apiservice v1alpha1.connections.apptier.dev, kubectl apptier doctor)"
	default:
		return fmt.Errorf("asking for connections: %w", err)
	}
	return fmt.Errorf("%s: %w", advice, err)
}

func isUnavailable(err error) bool {
	status, ok := err.(apierrors.APIStatus)
	return ok && status.Status().Code == http.StatusServiceUnavailable
}

// readFile reads a list that was saved.
func (o *options) readFile() (list connections.ConnectionList, err error) {
	var text []byte
	if o.file == "-" {
		text, err = io.ReadAll(o.streams.In)
	} else {
		text, err = os.ReadFile(o.file)
	}
	if err != nil {
		return list, fmt.Errorf("reading connections: %w", err)
	}
	if err := json.Unmarshal(text, &list); err != nil || list.Kind != "ConnectionList" {
		return list, fmt.Errorf("%s is no list of connections: save one with kubectl apptier flows -o json", o.file)
	}
	return list, nil
}
