package doctor

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
)

// managers tells whether all replicas are ready.
func managers(f *Facts, _ time.Time) []Finding {
	if out := unread(checkManager, f.Deployments.Unread); out != nil {
		return out
	}
	if len(f.Deployments.Items) == 0 {
		return []Finding{{Check: checkManager, Status: Fail, Message: "no manager is installed: no AppTier has policies",
			Fix: "install apptier, or make deploy: " + documentation + "operations.md"}}
	}
	var out []Finding
	for _, d := range f.Deployments.Items {
		wanted := int32(1)
		if d.Spec.Replicas != nil {
			wanted = *d.Spec.Replicas
		}
		ready := d.Status.ReadyReplicas
		finding := Finding{Check: checkManager, Status: Pass, Objects: names("Deployment", []string{d.Namespace + "/" + d.Name}),
			Message: fmt.Sprintf("%d of %d managers are ready", ready, wanted)}
		if ready < wanted || wanted == 0 {
			finding.Status = Warn
			finding.Fix = fmt.Sprintf("kubectl describe pods -n %s -l %s=%s; kubectl logs -n %s deployment/%s", d.Namespace,
				labelComponent, manager, d.Namespace, d.Name)
		}
		if ready == 0 {
			finding.Status = Fail
		}
		out = append(out, finding)
	}
	return out
}

// webhook tells whether the API server has AppTiers judged: it was tried with one that is to be refused.
func webhook(f *Facts, _ time.Time) []Finding {
	if f.Webhooks.Unread == "" && len(f.Webhooks.Items) == 0 {
		return []Finding{{Check: checkWebhook, Status: Fail, Message: "the API server is not told to ask the webhook: AppTiers and " +
			"NetworkPolicies pass unjudged",
			Fix: "install the ValidatingWebhookConfiguration of config/webhook, as make deploy and the chart do"}}
	}
	if out := unread(checkWebhook, f.Asked.Unread); out != nil {
		return out
	}
	if slices.Contains(f.Asked.Items, false) || len(f.Asked.Items) == 0 {
		return []Finding{{Check: checkWebhook, Status: Fail, Message: "the webhook does not answer the API server: AppTiers and " +
			"NetworkPolicies pass unjudged, or are all refused with config/components/strict",
			Fix: "see whether the managers are ready, whether the API server can reach them at port 9443, and what its log says of the " +
				"webhook"}}
	}
	return pass(checkWebhook, "the API server asks the webhook, and the webhook answers")
}

// renewal is how much is left of a certificate when it should have been renewed days ago: internal/certs renews it
// thirty days before its end, and cert-manager, unless told otherwise, at a third of its time.
const renewal = 14 * 24 * time.Hour

// certificate tells whether the API server trusts the webhook, and for how long.
func certificate(f *Facts, now time.Time) []Finding {
	out := unread(checkCertificate, f.Webhooks.Unread, f.Certificates.Unread)
	if f.Webhooks.Unread != "" || len(f.Webhooks.Items) == 0 {
		return out
	}
	for _, configuration := range f.Webhooks.Items {
		out = append(out, trusts(configuration, f.Certificates, now)...)
	}
	return out
}

// trusts judges each client configuration once.
func trusts(configuration admissionv1.ValidatingWebhookConfiguration, served Read[*x509.Certificate], now time.Time) []Finding {
	object := names("ValidatingWebhookConfiguration", []string{configuration.Name})
	broken := func(message string) []Finding {
		return []Finding{{Check: checkCertificate, Status: Fail, Objects: object, Message: message,
			Fix: "see the log of the managers, which renew it, or cert-manager's Certificate; to begin anew: kubectl delete pods of the " +
				"managers"}}
	}
	var ends time.Time
	for _, hook := range configuration.Webhooks {
		authorities := x509.NewCertPool()
		if !authorities.AppendCertsFromPEM(hook.ClientConfig.CABundle) {
			return broken("the webhook " + hook.Name + " has no caBundle yet: the API server trusts nobody who answers")
		}
		if len(served.Items) == 0 || hook.ClientConfig.Service == nil {
			continue
		}
		leaf, between := served.Items[0], x509.NewCertPool()
		for _, c := range served.Items[1:] {
			between.AddCert(c)
		}
		name := hook.ClientConfig.Service.Name + "." + hook.ClientConfig.Service.Namespace + ".svc"
		options := x509.VerifyOptions{DNSName: name, Roots: authorities, Intermediates: between, CurrentTime: now}
		chains, err := leaf.Verify(options)
		if err != nil {
			return broken(fmt.Sprintf("the API server does not trust the webhook %s: %v", hook.Name, err))
		}
		ends = endOf(chains)
	}
	if ends.IsZero() {
		if served.Unread != "" {
			return nil // that is said already
		}
		return broken("the managers have no certificate yet")
	}
	left := ends.Sub(now)
	text := fmt.Sprintf("the webhook's certificate is valid until %s, %d days", ends.UTC().Format(time.DateOnly), int(left.Hours()/24))
	if left < renewal {
		return []Finding{{Check: checkCertificate, Status: Warn, Objects: object, Message: text + ", and should be renewed by now",
			Fix: "see the log of the managers, which renew it, or cert-manager's Certificate"}}
	}
	return pass(checkCertificate, "%s", text)
}

// endOf is when the last of some chains ends that a certificate is trusted by.
func endOf(chains [][]*x509.Certificate) time.Time {
	var last time.Time
	for _, chain := range chains {
		first := slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }).NotAfter
		if first.After(last) {
			last = first
		}
	}
	return last
}
