package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// wrongType is a value of another type than its field's, with the indexes that lead to it: the decoder of
// encoding/json stops at the first, and names neither its line nor its indexes.
type wrongType struct{ path, what, fix string }

// wrongTypes compares a decoded value with the type that it is for, and returns the value without what is
// wrong, so that the rest can be judged. Written is the scalar at a path as its author wrote it, or empty.
func wrongTypes(t reflect.Type, value any, written func(path string) string) (wrong []wrongType, right any) {
	w := typeWalk{written: written}
	right, _ = w.walk(t, "", value)
	return w.wrong, right
}

type typeWalk struct {
	wrong   []wrongType
	written func(path string) string
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// spelled are the types that read themselves, by the words for what they read.
var spelled = map[reflect.Type][]string{
	reflect.TypeFor[intstr.IntOrString](): {"a string", "a number"},
	reflect.TypeFor[resource.Quantity]():  {"a string", "a number"},
	reflect.TypeFor[metav1.Time]():        {"a string"},
	reflect.TypeFor[metav1.MicroTime]():   {"a string"},
	reflect.TypeFor[metav1.Duration]():    {"a string"},
}

// walk returns a value as it should be; false if nothing of it is.
func (w *typeWalk) walk(t reflect.Type, path string, value any) (any, bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	words, isSpelled := spelled[t]
	switch {
	case value == nil:
		return nil, true
	case isSpelled:
		return value, w.want(path, value, words...)
	case reflect.PointerTo(t).Implements(unmarshaler):
		return value, true // only its own reader knows
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return w.object(t, path, value)
	case reflect.Slice:
		return w.list(t, path, value)
	case reflect.String:
		return value, w.want(path, value, "a string")
	case reflect.Bool:
		return value, w.want(path, value, "true or false")
	case reflect.Int32, reflect.Int64, reflect.Int:
		return value, w.want(path, value, "a number") && w.whole(t, path, value)
	default:
		return value, true
	}
}

func (w *typeWalk) object(t reflect.Type, path string, value any) (any, bool) {
	if !w.want(path, value, "an object") {
		return nil, false
	}
	fields, out := map[string]reflect.Type{}, map[string]any{}
	if t.Kind() == reflect.Struct {
		fields = fieldsOf(t)
	}
	of := value.(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(of)) {
		fieldType, found := fields[key]
		if t.Kind() == reflect.Map {
			fieldType, found = t.Elem(), true
		}
		if !found { // the decoder reports it
			out[key] = of[key]
		} else if kept, ok := w.walk(fieldType, childPath(path, key), of[key]); ok {
			out[key] = kept
		}
	}
	return out, true
}

func (w *typeWalk) list(t reflect.Type, path string, value any) (any, bool) {
	if t.Elem().Kind() == reflect.Uint8 { // bytes are a string in base64
		return value, w.want(path, value, "a string")
	}
	if !w.want(path, value, "a list") {
		return nil, false
	}
	var out []any
	for i, item := range value.([]any) {
		kept, _ := w.walk(t.Elem(), indexPath(path, i), item)
		out = append(out, kept) // what is wrong is null, so that the others keep their indexes
	}
	return out, true
}

// want reports a value that is none of some types.
func (w *typeWalk) want(path string, value any, wanted ...string) bool {
	is := typeWord(value)
	if slices.Contains(wanted, is) {
		return true
	}
	w.wrong = append(w.wrong,
		wrongType{path, is + " where " + strings.Join(wanted, " or ") + " is wanted", retype(value, wanted[0], w.written(path))})
	return false
}

// whole reports numbers that are no integers of a type.
func (w *typeWalk) whole(t reflect.Type, path string, value any) bool {
	number, isFraction := value.(float64)
	integer, _ := value.(int64)
	switch {
	case isFraction && number != math.Trunc(number):
		w.wrong = append(w.wrong, wrongType{path, fmt.Sprintf("%v is not a whole number", value), ""})
	case isFraction || t.Kind() == reflect.Int32 && (integer > math.MaxInt32 || integer < math.MinInt32):
		w.wrong = append(w.wrong, wrongType{path, fmt.Sprintf("%v is too large", value), ""})
	default:
		return true
	}
	return false
}

// typeWord names the type of a decoded value.
func typeWord(value any) string {
	switch value.(type) {
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		return "a string"
	case bool:
		return "true or false"
	case int64, float64:
		return "a number"
	default:
		return "nothing"
	}
}

// retype says how to write a value as a type, if that is what is meant. Written is how it is written now; where that
// is not known, neither is what to quote: what is read as true or 1.1 may be y or 1.10.
func retype(value any, wanted, written string) string {
	inQuotes := "write what stands there in quotes"
	if written != "" {
		inQuotes = fmt.Sprintf("write %q in quotes", written)
	}
	switch of := value.(type) {
	case bool:
		if wanted == "a string" {
			return inQuotes + " (in YAML y, n, yes, no, on, off, true and false are true or false, unless they are in quotes)"
		}
	case int64, float64:
		if wanted == "a string" {
			return inQuotes
		}
	case string:
		if wanted == "a number" && of != "" && strings.Trim(of, "0123456789") == "" {
			return "write " + of + " without quotes"
		}
		if wanted == "a list" && len(of) < 64 {
			return "write [" + of + "]"
		}
	case map[string]any:
		if wanted == "a list" {
			return "begin it with a dash, as an item of a list"
		}
	}
	return ""
}

// childPath is the path of a field; keys that hold dots are written as an index.
func childPath(path, key string) string {
	switch {
	case strings.ContainsAny(key, "./[]") || key == "":
		return path + "[" + key + "]"
	case path == "":
		return key
	default:
		return path + "." + key
	}
}

func indexPath(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
