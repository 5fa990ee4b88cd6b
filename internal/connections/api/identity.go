package api

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	x509request "k8s.io/apiserver/pkg/authentication/request/x509"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
	authorizationv1 "k8s.io/client-go/kubernetes/typed/authorization/v1"

	"github.com/apptier/apptier/api/v1alpha1"
)

// The ConfigMap in which the API server says how its proxy shows who it is.
const proxyConfigMap = "extension-apiserver-authentication"

// Proxy takes requests for the API server's, and their headers for true, if they come with the certificate that the
// ConfigMap kube-system/extension-apiserver-authentication names.
type Proxy struct {
	authenticator.Request
	authorities x509request.VerifyOptionFunc
	names       func() []string
	run         []func(context.Context)
}

// NewProxy returns a proxy that knows nobody before Start.
func NewProxy(client kubernetes.Interface) (*Proxy, error) {
	authorities, err := dynamiccertificates.NewDynamicCAFromConfigMapController(
		"the API server's proxy", metav1.NamespaceSystem, proxyConfigMap, "requestheader-client-ca-file", client)
	if err != nil {
		return nil, fmt.Errorf("setting up whom the API server's proxy is known by: %w", err)
	}
	headers := headerrequest.NewRequestHeaderAuthRequestController(proxyConfigMap, metav1.NamespaceSystem, client,
		"requestheader-username-headers", "requestheader-uid-headers", "requestheader-group-headers",
		"requestheader-extra-headers-prefix", "requestheader-allowed-names")
	return &Proxy{
		authorities: authorities.VerifyOptions, names: headers.AllowedClientNames,
		Request: headerrequest.NewDynamicVerifyOptionsSecure(authorities.VerifyOptions,
			headerrequest.StringSliceProviderFunc(headers.AllowedClientNames),
			headerrequest.StringSliceProviderFunc(headers.UsernameHeaders), headerrequest.StringSliceProviderFunc(headers.UIDHeaders),
			headerrequest.StringSliceProviderFunc(headers.GroupHeaders), headerrequest.StringSliceProviderFunc(headers.ExtraHeaderPrefixes)),
		run: []func(context.Context){
			func(ctx context.Context) { authorities.Run(ctx, 1) },
			func(ctx context.Context) { headers.Run(ctx, 1) },
		},
	}, nil
}

// Knows says whether a client's certificates are those of the API server's proxy. Requests are authenticated as well: who has a
// connection may not be trusted any more.
func (p *Proxy) Knows(certificates []*x509.Certificate) bool {
	options, known := p.authorities()
	if !known || len(certificates) == 0 {
		return false
	}
	options.Intermediates = x509.NewCertPool()
	for _, c := range certificates[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := certificates[0].Verify(options); err != nil {
		return false
	}
	names := p.names()
	return len(names) == 0 || slices.Contains(names, certificates[0].Subject.CommonName)
}

// Start follows the ConfigMap until the context ends.
func (p *Proxy) Start(ctx context.Context) error {
	for _, run := range p.run {
		go run(ctx)
	}
	<-ctx.Done()
	return nil
}

// NeedLeaderElection is false: every replica answers.
func (p *Proxy) NeedLeaderElection() bool { return false }

// A right that is taken away lasts as long as an answer about it is kept.
const (
	rememberYes = 10 * time.Second
	rememberNo  = 2 * time.Second
)

// Reviews asks the API server who may list AppTiers where.
func Reviews(client authorizationv1.AuthorizationV1Interface) (MayList, error) {
	reviews, err := authorizerfactory.DelegatingAuthorizerConfig{
		SubjectAccessReviewClient: client, AllowCacheTTL: rememberYes, DenyCacheTTL: rememberNo,
		WebhookRetryBackoff: &wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Steps: 2},
	}.New()
	if err != nil {
		return nil, fmt.Errorf("setting up who may see connections: %w", err)
	}
	return func(ctx context.Context, who user.Info, namespace string) (bool, error) {
		decision, _, err := reviews.Authorize(ctx, authorizer.AttributesRecord{
			User: who, Verb: "list", Namespace: namespace, ResourceRequest: true,
			APIGroup: v1alpha1.GroupVersion.Group, APIVersion: v1alpha1.GroupVersion.Version, Resource: "apptiers",
		})
		return decision == authorizer.DecisionAllow, err
	}, nil
}
