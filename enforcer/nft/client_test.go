package nft

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/enforcer/nft/wire"
)

// A kernel without nftables ends the process with what to do; one that lacks a family does not, for tables of
// another family do their part.
func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		may  bool
		want string
	}{
		{"taken", nil, true, ""},
		{"owned by another", &wire.StepError{Err: unix.EPERM}, true, ""},
		{"not allowed", &wire.StepError{Err: unix.EPERM}, false, "NET_ADMIN"},
		{"a family that the kernel lacks", &wire.StepError{Err: unix.EOPNOTSUPP}, true, ""},
		{"no nf_tables at all", fmt.Errorf("nf_tables transaction of 1 steps: %w", unix.EOPNOTSUPP), true, "nf_tables"},
	} {
		err := refusal(test.err, test.may)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
