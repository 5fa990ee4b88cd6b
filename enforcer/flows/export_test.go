package flows

import (
	"fmt"
	"net/netip"

	"k8s.io/apimachinery/pkg/types"
)

// Naming has connections named until the function is called that it returns.
func (f *Flows) Naming() (done func()) {
	f.mu.Lock()
	return f.mu.Unlock
}

// SaidOf is what policies say of a pod.
func (f *Flows) SaidOf(key types.NamespacedName) string {
	f.Follow()
	k := f.policies.knowledgeOf(f.history.present[key])
	return fmt.Sprint(k.tier.Value(), k.because)
}

// ReadOf is how a policy was read, which nothing else is equal to; nil if it was not.
func (f *Flows) ReadOf(key types.NamespacedName) any {
	f.Follow()
	if is := f.policies.namespaces[key.Namespace].policies[policyKey{key, false}].isolation; is != nil {
		return is
	}
	return nil
}

// Claims is how many are known that have or had an address.
func (f *Flows) Claims(address string) (n int) {
	for t := f.history.tenures[netip.MustParseAddr(address)]; t != nil; t = t.before {
		n++
	}
	return n
}
