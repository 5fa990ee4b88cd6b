package adopt

import (
	"encoding/json"

	"github.com/apptier/apptier/api/v1alpha1"
)

// weight is about how many lines an AppTier takes as people write it: what holds nothing but words is on one.
func weight(app *v1alpha1.AppTier) int {
	var value any
	if json.Unmarshal([]byte(textOf(app.Spec)), &value) != nil { // it was just written
		return 0
	}
	return lines(value)
}

func lines(value any) int {
	if isFlat(value) {
		return 1
	}
	n := 0
	switch of := value.(type) {
	case []any:
		for _, item := range of {
			n += lines(item)
		}
	case map[string]any:
		for _, item := range of {
			n += lines(item)
			if !isFlat(item) {
				n++ // its key
			}
		}
	}
	return n
}

// isFlat says whether a value is written on one line.
func isFlat(value any) bool {
	switch of := value.(type) {
	case []any:
		for _, item := range of {
			if _, isMap := item.(map[string]any); isMap {
				return false
			}
		}
	case map[string]any:
		for _, item := range of {
			if !isFlat(item) {
				return false
			}
		}
		return len(of) <= 3
	}
	return true
}
