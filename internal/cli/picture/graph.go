// Package picture draws who may reach whom, for a browser: an SVG, or a page that can be searched.
//
// A page is one file: it asks nothing of a network, and opens offline. Places are found by dagre, once, when it is written.
package picture

import "unicode/utf8"

// Graph is what is drawn.
type Graph struct {
	Nodes []Node `json:"nodes"`
	Links []Link `json:"links"`
	// Denied are names that may not connect: each of some with each of others.
	Denied []Denied `json:"denied"`
	// Notes are said below.
	Notes []string `json:"-"`
}

// Node is a workload, several that are equal, or somebody outside of all namespaces.
type Node struct {
	// Name is what it is called, and Kind what it is: deployment, or "14 workloads".
	Name string `json:"name"`
	Kind string `json:"kind"`
	// Namespace is empty for those outside of all.
	Namespace string `json:"namespace"`
	// Members are full names.
	Members []string `json:"members"`
	// Open is in which directions it is not isolated.
	Open string `json:"open"`
}

// Link is a connection between nodes, by their numbers.
type Link struct {
	From  int      `json:"from"`
	To    int      `json:"to"`
	Ports []string `json:"ports"`
	// Label is what stands for the ports in a picture.
	Label string `json:"label"`
	// By are the files and lines of rules.
	By []string `json:"by"`
	// Maybe says that there may be more ports: only a cluster can say. Without ports, nothing is known to pass.
	Maybe bool `json:"maybe"`
}

// Denied are pairs that may not connect.
type Denied struct {
	From []string `json:"from"`
	To   []string `json:"to"`
}

// Letters are as wide as they are in fonts of browsers, at most.
const (
	letterWidth, smallWidth = 7.9, 6.6
	nodeHeight, openHeight  = 46, 62
)

func (n Node) width() float64 {
	return max(84, 28+letterWidth*float64(utf8.RuneCountInString(n.Name)), 28+smallWidth*float64(utf8.RuneCountInString(n.openWords())))
}

func (n Node) height() float64 {
	if n.Open != "" {
		return openHeight
	}
	return nodeHeight
}

// openWords says in which directions a node is not isolated.
func (n Node) openWords() string {
	if n.Open == "" {
		return ""
	}
	return "not isolated: " + n.Open
}
