package attack

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/internal/testenv/network"
	"github.com/apptier/apptier/test/lab"
)

// attacker is a class of attackers: who they are, and the capabilities that their code has in its pod.
type attacker struct {
	name         string
	capabilities []int
}

var (
	withoutCapabilities = attacker{name: "a pod without capabilities"}
	// withNetRaw is what container runtimes make of a pod that does not say which capabilities to drop.
	withNetRaw = attacker{name: "a pod with NET_RAW", capabilities: []int{unix.CAP_NET_RAW}}
)

// run runs f in a namespace with the capabilities of the class alone. f starts no goroutines: those run on
// other threads.
func (a attacker) run(ns netns.NsHandle, f func() error) error {
	return network.In(ns, func() error {
		if err := a.drop(); err != nil {
			return fmt.Errorf("dropping capabilities: %w", err)
		}
		return f()
	})
}

// drop takes all other capabilities from the calling thread: capset(2) is about one thread.
func (a attacker) drop() error {
	var set [2]unix.CapUserData // of 32 capabilities each
	for _, c := range a.capabilities {
		set[c/32].Effective |= 1 << (c % 32)
		set[c/32].Permitted |= 1 << (c % 32)
	}
	return unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &set[0])
}

// An attack shows nothing about a class whose capabilities it exceeds.
func TestAttackersHaveTheCapabilitiesOfTheirClass(t *testing.T) {
	lab.RequireKernel(t)
	for _, test := range []struct {
		class attacker
		want  string
		raw   error
	}{
		{withoutCapabilities, "0000000000000000", unix.EPERM},
		{withNetRaw, "0000000000002000", nil},
	} {
		t.Run(test.class.name, func(t *testing.T) {
			lab.Must(t, test.class.run(lab.NewNamespace(t), func() error {
				status, err := threadStatus()
				if err != nil {
					return err
				}
				for _, set := range []string{"CapPrm", "CapEff"} {
					if status[set] != test.want {
						t.Errorf("%s is %s, want %s", set, status[set], test.want)
					}
				}
				fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_UDP)
				if !errors.Is(err, test.raw) {
					t.Errorf("a raw socket: %v, want %v", err, test.raw)
				}
				_ = unix.Close(fd)
				return nil
			}))
		})
	}
}

// threadStatus reads what the kernel says of the calling thread: proc(5).
func threadStatus() (map[string]string, error) {
	f, err := os.Open("/proc/thread-self/status")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	status := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok {
			status[key] = strings.TrimSpace(value)
		}
	}
	return status, lines.Err()
}
