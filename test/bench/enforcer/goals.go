package main

import "fmt"

// What is hoped for, in milliseconds and MiB.
const (
	eventGoal  = 8.0
	streamGoal = 20.0
	churnGoal  = 50.0 // of p99
	cpuGoal    = 10.0 // of an event
)

// sizeGoals are those that depend on the size of the cluster.
var sizeGoals = map[string]struct{ start, memory float64 }{
	"a": {400, 50}, "b": {600, 60}, "c": {1000, 100},
}

func goalOf(kind string) float64 {
	if kind == streamTCP || kind == streamUDP {
		return streamGoal
	}
	return eventGoal
}

// against marks a cell whose figure misses its goal.
func against(figure, goal float64, cell string) string {
	if figure > goal {
		return "**" + cell + "**"
	}
	return cell
}

// limit is a figure that is compared with its goal.
func limit(figure, goal float64) string { return against(figure, goal, fmt.Sprintf("%.1f", figure)) }
