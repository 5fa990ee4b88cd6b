package process

import (
	"bufio"
	"io"
	"strconv"
	"strings"
)

// Metrics are those of a program, in Prometheus' text format: each line's name and labels, and its value.
type Metrics map[string]float64

// ParseMetrics reads metrics in the text format.
func ParseMetrics(text io.Reader) (Metrics, error) {
	values := Metrics{}
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		if i := strings.LastIndexByte(lines.Text(), ' '); i > 0 && !strings.HasPrefix(lines.Text(), "#") {
			if value, err := strconv.ParseFloat(lines.Text()[i+1:], 64); err == nil {
				values[lines.Text()[:i]] = value
			}
		}
	}
	return values, lines.Err()
}

// Sum adds the values of a metric whose labels have all the given parts.
func (m Metrics) Sum(name string, parts ...string) (total float64) {
	for key, value := range m {
		matches := strings.HasPrefix(key, name+"{")
		for _, part := range parts {
			matches = matches && strings.Contains(key, part)
		}
		if matches {
			total += value
		}
	}
	return total
}
