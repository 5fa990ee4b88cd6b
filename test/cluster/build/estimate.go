package build

import (
	"fmt"
	"time"
)

// cost is what building a part takes when Go's build cache is empty but for the parts before it: seconds on two quiet
// cores, and packages that are compiled.
type cost struct {
	seconds  float64
	packages int
}

// estimate reckons how long a build still takes, by how long it has taken until now. What was compiled before costs
// nothing, and says nothing about the machine.
type estimate struct {
	cores int
	// left is the cost of the parts that have not begun, in seconds of two quiet cores; done that of what was compiled.
	left, done float64
	part       cost
	compiled   int // packages of the part that is being built
}

func estimateOf(parts []part, cores int) estimate {
	e := estimate{cores: cores}
	for _, p := range parts {
		e.left += p.cost.seconds
	}
	return e
}

// begin says which part is built now; the one before is done.
func (e *estimate) begin(next cost) {
	e.end()
	e.part, e.left = next, e.left-next.seconds
}

// end says that the part is done.
func (e *estimate) end() {
	e.done += e.part.seconds * e.share()
	e.part, e.compiled = cost{}, 0
}

// share is how much of the part has been compiled.
func (e *estimate) share() float64 {
	if e.part.packages == 0 {
		return 0
	}
	return min(1, float64(e.compiled)/float64(e.part.packages))
}

// patience is how much must have been built before this machine's pace says more than the number of its cores.
const patience = 5.0

// remaining is how long the rest takes, at the pace until now.
func (e *estimate) remaining(elapsed time.Duration) time.Duration {
	done := e.done + e.part.seconds*e.share()
	pace := 2 / float64(e.cores)
	if done >= patience {
		pace = elapsed.Seconds() / done
	}
	return time.Duration(pace * (e.left + e.part.seconds*(1-e.share())) * float64(time.Second))
}

// words says a time as people do who are not sure.
func words(d time.Duration) string {
	switch minutes := d.Round(time.Minute).Minutes(); {
	case d < 20*time.Second:
		return "nearly done"
	case d < 90*time.Second:
		return fmt.Sprintf("about %d seconds left", int(d.Round(10*time.Second).Seconds()))
	default:
		return fmt.Sprintf("about %.0f minutes left", minutes)
	}
}
