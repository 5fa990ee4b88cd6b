package seen

import (
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// At is a command whose clock stands, and which looks again when it is told to.
func At(streams genericiooptions.IOStreams, name string, now time.Time, ticks <-chan time.Time) *cobra.Command {
	verdicts, what := []connections.Verdict{connections.Denied, connections.WouldDeny}, "denied"
	if name == "flows" {
		verdicts, what = append(verdicts, connections.Allowed), "seen"
	}
	o := newOptions(streams, what, verdicts...)
	o.now = func() time.Time { return now }
	o.ticks = func() (<-chan time.Time, func()) { return ticks, func() {} }
	return o.complete(&cobra.Command{Use: name, SilenceErrors: true, SilenceUsage: true})
}
