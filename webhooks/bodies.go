package webhooks

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// mostBody is the limit of a body's length (controller-runtime pkg/webhook/admission, maxRequestSize).
	mostBody = 7 << 20
	// mostBodies limits the bodies in memory at once, where each takes several times its length.
	mostBodies = 24 << 20
	// mostBeforeUID is how far into a body a request's UID is looked for: the API server writes it first.
	mostBeforeUID = 4 << 10
)

// lengthOf is how much of mostBodies a request takes.
func lengthOf(r *http.Request) int64 {
	if r.ContentLength < 0 || r.ContentLength > mostBody {
		return mostBody
	}
	return r.ContentLength + 1
}

// refuseUnread refuses a request that there is no room to read. An error of the server would let it pass unjudged. A
// refusal needs the request's UID.
func refuseUnread(w http.ResponseWriter, r *http.Request) {
	uid, err := uidOf(io.LimitReader(r.Body, mostBeforeUID))
	if err != nil {
		http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Connection", "close") // the rest of the body stays unread
	answer := admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"},
		Response: &admissionv1.AdmissionResponse{UID: uid, Result: &metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusTooManyRequests, Reason: metav1.StatusReasonTooManyRequests,
			Message: "not judged, because too many requests came at once: try again in a moment",
			Details: &metav1.StatusDetails{RetryAfterSeconds: 1},
		}},
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		return // the client is gone
	}
}

var errNoUID = errors.New("no UID at the beginning")

// uidOf reads an AdmissionReview as far as to its request's UID.
func uidOf(body io.Reader) (types.UID, error) {
	decoder := json.NewDecoder(body)
	var path []string // of the objects that are open
	key := ""
	for isKey := false; ; {
		token, err := decoder.Token()
		if err != nil {
			return "", err
		}
		switch text, isText := token.(string); {
		case token == json.Delim('{'):
			path, isKey = append(path, key), true
		case token == json.Delim('}') && len(path) > 0:
			path, isKey = path[:len(path)-1], true
		case token == json.Delim('['), token == json.Delim(']'):
			return "", errNoUID // there is none before the UID
		case isText && isKey:
			key, isKey = text, false
		case isText && key == "uid" && len(path) == 2 && path[1] == "request":
			return types.UID(text), nil
		default:
			isKey = true
		}
	}
}
