package report

import (
	"encoding/json"
	"io"
)

// WriteJSON writes a value for programs and people.
func WriteJSON(out io.Writer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
