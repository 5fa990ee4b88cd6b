// Package doctor judges whether an installation works, by what was read of its cluster: it reads nothing itself.
package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Status is what a check comes to.
type Status string

// From the best to the worst, but for Unknown, which is neither.
const (
	Pass    Status = "pass"
	Warn    Status = "warn"
	Fail    Status = "fail"
	Unknown Status = "unknown" // not judged: something could not be read
)

// Finding is what one check found.
type Finding struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	// Objects are what it is about, as kind and name.
	Objects []string `json:"objects,omitempty"`
	Message string   `json:"message"`
	// Fix is what to do; never empty but of Pass.
	Fix string `json:"fix,omitempty"`
}

// Names of checks. Programs depend on them.
const (
	checkVersions     = "versions"
	checkManager      = "manager"
	checkWebhook      = "webhook"
	checkCertificate  = "webhook-certificate"
	checkNetwork      = "network"
	checkEnforcers    = "enforcers"
	checkNodes        = "nodes"
	checkHealth       = "node-health"
	checkGate         = "gate"
	checkPolicies     = "policies"
	checkAppTiers     = "apptiers"
	documentation     = "https://github.com/apptier/apptier/blob/main/docs/"
	documentsNetworks = documentation + "networks.md"
)

// checks are all, in the order in which they are told: what others depend on first.
var checks = []func(*Facts, time.Time) []Finding{
	versions, managers, webhook, certificate, network, enforcersAtOnce, nodes, health, gate, policies, appTiers,
}

// Judge returns what all checks find. Each that applies says something.
func Judge(f *Facts, now time.Time) []Finding {
	var out []Finding
	for _, check := range checks {
		out = append(out, check(f, now)...)
	}
	return out
}

// Verdict is the worst of all: Fail, else Unknown, else Warn, else Pass.
func Verdict(findings []Finding) Status {
	for _, status := range []Status{Fail, Unknown, Warn} {
		if slices.ContainsFunc(findings, func(f Finding) bool { return f.Status == status }) {
			return status
		}
	}
	return Pass
}

func pass(check, format string, args ...any) []Finding {
	return []Finding{{Check: check, Status: Pass, Message: fmt.Sprintf(format, args...)}}
}

// MayNot begins the reason why something was not read for want of rights.
const MayNot = "you may not"

// unread says that a check could not be done, if one of some reasons why something was not read is given.
func unread(check string, reasons ...string) []Finding {
	reasons = slices.Compact(slices.DeleteFunc(reasons, func(r string) bool { return r == "" }))
	if len(reasons) == 0 {
		return nil
	}
	finding := Finding{Check: check, Status: Unknown, Message: strings.Join(reasons, "; "),
		Fix: "see why the API server does not answer, and ask again"}
	if strings.Contains(finding.Message, MayNot) {
		finding.Fix = "ask again as somebody who may: kubectl auth can-i --list says what you may"
	}
	return []Finding{finding}
}

// names names objects of one kind.
func names(kind string, of []string) []string {
	out := make([]string, len(of))
	for i, name := range of {
		out[i] = kind + " " + name
	}
	return out
}
