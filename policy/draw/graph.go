package draw

import "slices"

// graph is a picture before it is in any language. Boxes and arrows are in the order in which they
// were first drawn.
type graph struct {
	boxes  []*box
	arrows []*arrow
}

// box is somebody: pods or addresses.
type box struct {
	// key identifies a box.
	key string
	// namespace that the pods are in, or "".
	namespace string
	label     string
	shape     shape
}

type shape int

const (
	rectangle shape = iota // a tier
	rounded                // other pods
	stadium                // addresses, and everybody
)

// arrow is a connection.
type arrow struct {
	from, to *box
	kind     kind
	ports    portSet
	// label is what it says in place of the ports.
	label string
}

type kind int

const (
	allowed kind = iota
	pending      // allowed if the other AppTier agrees
	denied
)

// Everybody, as the start or the end of a connection.
var (
	anyone       = box{key: "anyone", label: "anyone", shape: stadium}
	anywhere     = box{key: "anywhere", label: "anywhere", shape: stadium}
	anyoneElse   = box{key: "anyone else", label: "anyone else", shape: stadium}
	anywhereElse = box{key: "anywhere else", label: "anywhere else", shape: stadium}
)

// box draws a box, or finds it.
func (g *graph) box(b box) *box {
	if found := g.find(b.key); found != nil {
		return found
	}
	g.boxes = append(g.boxes, &b)
	return &b
}

// find returns the box with a key, or nil.
func (g *graph) find(key string) *box {
	i := slices.IndexFunc(g.boxes, func(b *box) bool { return b.key == key })
	if i < 0 {
		return nil
	}
	return g.boxes[i]
}

// arrow draws an allowed connection, or adds ports to it.
func (g *graph) arrow(from, to *box, ports portSet) { g.draw(from, to, allowed, ports) }

// deny draws a connection that is crossed out.
func (g *graph) deny(from, to *box) { g.draw(from, to, denied, portSet{}) }

func (g *graph) draw(from, to *box, kind kind, ports portSet) {
	for _, a := range g.arrows {
		if a.from == from && a.to == to && a.kind == kind {
			a.ports = a.ports.and(ports)
			return
		}
	}
	g.arrows = append(g.arrows, &arrow{from: from, to: to, kind: kind, ports: ports})
}

// connected says whether an allowed connection is drawn, on any ports.
func (g *graph) connected(from, to *box) bool {
	return slices.ContainsFunc(g.arrows, func(a *arrow) bool { return a.from == from && a.to == to && a.kind == allowed })
}

// nameElse drops the "else" of those who stand for everybody, where nobody is connected to what they
// are kept from.
func (g *graph) nameElse() {
	var comes, goes bool
	for _, a := range g.arrows {
		comes = comes || a.from.key == anyoneElse.key && g.used(func(b *arrow) bool { return b.to == a.to })
		goes = goes || a.to.key == anywhereElse.key && g.used(func(b *arrow) bool { return b.from == a.from })
	}
	if !comes {
		g.replace(anyoneElse.key, anyone)
	}
	if !goes {
		g.replace(anywhereElse.key, anywhere)
	}
}

// used says whether there is such an arrow that is not crossed out.
func (g *graph) used(is func(*arrow) bool) bool {
	return slices.ContainsFunc(g.arrows, func(a *arrow) bool { return a.kind != denied && is(a) })
}

// replace has another box take the place of the one with a key.
func (g *graph) replace(key string, with box) {
	old := g.find(key)
	if old == nil {
		return
	}
	other := g.find(with.key)
	if other == nil {
		*old = with
		return
	}
	for _, a := range g.arrows {
		if a.from == old {
			a.from = other
		}
		if a.to == old {
			a.to = other
		}
	}
	g.boxes = slices.DeleteFunc(g.boxes, func(b *box) bool { return b == old })
}
