package learning

import "testing"

// What one node let through and another denied did not arrive. The denial is in the list as well, and counts.
func TestWhatAnotherNodeDeniedIsNotLearned(t *testing.T) {
	const end = `"protocol": "TCP", "port": 5432, "source": {"address": "10.0.0.1"}, "destination": {"address": "10.0.1.1"}`
	var r records
	err := r.connections("ConnectionList", []byte(`{"items": [
		{"verdict": "Allowed", "node": "n1", "reason": "denied_elsewhere", `+end+`},
		{"verdict": "Denied", "node": "n2", `+end+`},
		{"verdict": "Allowed", "node": "n3", `+end+`}]}`))
	if err != nil || len(r.observations) != 2 || !r.observations[0].Denied || r.observations[1].Node != "n3" {
		t.Errorf("observes %+v, %v", r.observations, err)
	}
}
