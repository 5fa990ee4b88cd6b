package compile

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/enforcer/nft"
)

// A group that comes with one policy more leads nearly everywhere that another led before. What was written for that
// is kept, for to write and name it anew takes longer than everything else about the policy.

// chainKey tells apart the chains that one rule is written as.
type chainKey struct{ port, families string }

// writtenChain is one of them, and the verdict that leads there.
type writtenChain struct {
	name, verdict string
	chain         nft.Chain
}

// pageKey is the place of a page.
type pageKey struct {
	direction Direction
	protocol  corev1.Protocol
	first     int32
}

// writtenPage is the chain of a page, and the map that it looks ports up in.
type writtenPage struct {
	name  string
	chain nft.Chain
	ports *setSpec
}

// writtenPages are the last that were written in each place, as long as something leads there.
type writtenPages struct {
	pages map[pageKey]writtenPage
	keys  map[string]pageKey // by the names of their chains
}

func (w *writtenPages) keep(key pageKey, page writtenPage) {
	if w.pages == nil {
		w.pages, w.keys = map[pageKey]writtenPage{}, map[string]pageKey{}
	}
	w.forget(w.pages[key].name)
	w.pages[key], w.keys[page.name] = page, key
}

// forget forgets the page of a chain, if it is one.
func (w *writtenPages) forget(chain string) {
	if key, found := w.keys[chain]; found {
		delete(w.keys, chain)
		delete(w.pages, key)
	}
}
