package cli_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Exit codes and the fields of -o json are what programs depend on.
func TestDoctorForPrograms(t *testing.T) {
	withoutKubeconfig(t)
	for _, test := range []struct {
		name, server, verdict string
		code                  int
	}{
		{"nothing may be read", failing(t, http.StatusForbidden, metav1.StatusReasonForbidden), "unknown", 3},
		{"nothing is installed", failing(t, http.StatusNotFound, metav1.StatusReasonNotFound), "fail", 1},
	} {
		stdout, stderr, code := run(t, "", "doctor", "-o", "json", "--server", test.server)
		var got struct {
			Verdict  string
			Versions struct {
				Plugin                    string
				CRDs, Managers, Enforcers []string
			}
			Findings []struct {
				Check, Status, Message, Fix string
				Objects                     []string
			}
		}
		decoder := json.NewDecoder(strings.NewReader(stdout))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&got); err != nil {
			t.Fatalf("%s: %v: %s", test.name, err, stdout+stderr)
		}
		if code != test.code || got.Verdict != test.verdict || stderr != "" {
			t.Errorf("%s: exits with %d and the verdict %q, want %d and %q: %s", test.name, code, got.Verdict, test.code, test.verdict,
				stderr)
		}
		if got.Versions.Plugin == "" || got.Versions.CRDs == nil || got.Versions.Managers == nil || got.Versions.Enforcers == nil ||
			len(got.Findings) < 8 {
			t.Errorf("%s: something is missing: %s", test.name, stdout)
		}
		text, _, sameCode := run(t, "", "doctor", "--server", test.server)
		if sameCode != test.code || !strings.Contains(text, "not judged versions") && !strings.Contains(text, "FAILED     versions") ||
			strings.Contains(text, "\x1b") {
			t.Errorf("%s: exits with %d and prints:\n%s", test.name, sameCode, text)
		}
	}
}

// failing is the address of a server that refuses everything, or has nothing.
func failing(t *testing.T, code int, reason metav1.StatusReason) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, isDiscovery := discovered[r.URL.Path]; isDiscovery && code != http.StatusForbidden {
			answerJSON(t, w, http.StatusOK, body)
			return
		}
		answerJSON(t, w, code, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
			Reason: reason, Code: int32(code)})
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestDoctorWithoutACluster(t *testing.T) {
	withoutKubeconfig(t)
	for args, want := range map[string]string{
		"doctor":                             "no cluster is configured",
		"doctor --server http://127.0.0.1:1": "asking the API server",
		"doctor -o yaml":                     "use json, text",
		"doctor shop":                        "unknown command",
	} {
		if _, stderr, code := run(t, "", strings.Fields(args)...); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%s exits with %d: %s", args, code, stderr)
		}
	}
}
