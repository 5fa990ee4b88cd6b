package picture

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"modernc.org/quickjs"
)

//go:embed dagre/dagre.min.js
var dagre string

//go:embed place.js
var placeScript string

// patience bounds how long places are looked for: of thousands of nodes, nobody would see anything.
const patience = time.Minute

// unplaced is what dagre is given: sizes.
type unplaced struct {
	Direction string     `json:"direction"`
	Nodes     []sizedBox `json:"nodes"`
	Edges     []sized    `json:"edges"`
}

type sizedBox struct {
	ID     string  `json:"id"`
	Parent string  `json:"parent,omitempty"`
	Width  float64 `json:"width"`
	Height float64 `json:"height"`
}

type sized struct {
	From   string  `json:"from"`
	To     string  `json:"to"`
	Width  float64 `json:"width"`
	Height float64 `json:"height"`
}

// placed is what dagre makes of it: middles of boxes, and the bends of edges, with the middles of their labels.
type placed struct {
	Width, Height float64
	Boxes         []placedBox
	Bends         []bend
}

type placedBox struct {
	ID                  string
	X, Y, Width, Height float64
}

type bend struct {
	Points []point
	X, Y   float64
}

type point struct{ X, Y float64 }

// place runs dagre, in JavaScript: no library for Go that is kept places nodes in layers and in frames.
func place(what unplaced) (out placed, err error) {
	input, err := json.Marshal(what)
	if err != nil {
		return out, fmt.Errorf("writing the graph: %w", err)
	}
	vm, err := quickjs.NewVM()
	if err != nil {
		return out, fmt.Errorf("starting JavaScript: %w", err)
	}
	defer func() { err = errors.Join(err, vm.Close()) }()
	if err := vm.SetEvalTimeout(patience); err != nil {
		return out, fmt.Errorf("starting JavaScript: %w", err)
	}
	for _, script := range []string{dagre, placeScript} {
		if _, err := vm.Eval(script, quickjs.EvalGlobal); err != nil {
			return out, fmt.Errorf("loading dagre: %w", err)
		}
	}
	result, err := vm.Eval("place("+string(input)+")", quickjs.EvalGlobal)
	if err != nil {
		return out, fmt.Errorf("placing %d nodes and %d edges: %w", len(what.Nodes), len(what.Edges), err)
	}
	text, isText := result.(string)
	if !isText {
		return out, fmt.Errorf("placing nodes: dagre returned %T", result)
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return out, fmt.Errorf("reading places: %w", err)
	}
	return out, nil
}
