package nodes

import (
	"encoding/json"
	"fmt"
	"io"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// mostMissing is how many things a node may say that it misses.
const mostMissing = 20

// readAnswer reads a node's answer, object by object: a node that was taken over can fit hundreds of thousands of empty ones
// into the bytes that it may send.
func readAnswer(from io.Reader) (answer connections.ConnectionList, err error) {
	decoder := json.NewDecoder(from)
	if err := expect(decoder, json.Delim('{')); err != nil {
		return answer, err
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return answer, err
		}
		switch key {
		case "items":
			answer.Items, err = readAll[connections.Connection](decoder, most)
		case "missing":
			answer.Missing, err = readAll[connections.Missing](decoder, mostMissing)
		default:
			var ignored json.RawMessage
			err = decoder.Decode(&ignored)
		}
		if err != nil {
			return answer, err
		}
	}
	return answer, expect(decoder, json.Delim('}'))
}

func expect(decoder *json.Decoder, want json.Token) error {
	got, err := decoder.Token()
	if err == nil && got != want {
		err = fmt.Errorf("%v in place of %v", got, want)
	}
	return err
}

// readAll reads a list of at most so many; null is an empty one.
func readAll[T any](decoder *json.Decoder, most int) (out []T, err error) {
	begin, err := decoder.Token()
	if err != nil || begin == nil {
		return nil, err
	}
	if begin != json.Delim('[') {
		return nil, fmt.Errorf("%v in place of a list", begin)
	}
	for decoder.More() {
		if len(out) == most {
			return nil, fmt.Errorf("a list of more than %d", most)
		}
		var one T
		if err := decoder.Decode(&one); err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, expect(decoder, json.Delim(']'))
}
