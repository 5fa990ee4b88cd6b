package connset

import "slices"

// Shelf holds boxes so that those which may overlap another one are found without a look at each: by the
// values that they list for a label of the pod that a policy selects. It is not changed once it is made.
type Shelf struct {
	boxes []Box
	// by holds, for each label, the positions of the boxes that list a value of it; a box is found by one
	// label alone. rest are those that list none.
	by   map[string]map[string][]int
	rest []int
}

// NewShelf returns a shelf with these boxes.
func NewShelf(boxes []Box) *Shelf {
	s := &Shelf{boxes: boxes, by: map[string]map[string][]int{}}
	for i, box := range boxes {
		key, values, found := box.Listing(Subject)
		if !found {
			s.rest = append(s.rest, i)
			continue
		}
		if s.by[key] == nil {
			s.by[key] = map[string][]int{}
		}
		for _, value := range values {
			s.by[key][value] = append(s.by[key][value], i)
		}
	}
	return s
}

// Near returns all boxes that overlap another one, and perhaps more, in their order.
func (s *Shelf) Near(box Box) []Box {
	if len(s.by) == 0 {
		return s.boxes
	}
	positions := slices.Clone(s.rest)
	for key, held := range s.by {
		values, listed := box.Values(Label{Subject, key}).Listed()
		if !listed {
			for _, at := range held {
				positions = append(positions, at...)
			}
			continue
		}
		for _, value := range values {
			positions = append(positions, held[value]...)
		}
	}
	slices.Sort(positions)
	positions = slices.Compact(positions)
	out := make([]Box, len(positions))
	for i, at := range positions {
		out[i] = s.boxes[at]
	}
	return out
}
