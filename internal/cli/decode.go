package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	serializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/apptier/apptier/api/v1alpha1"
)

// object is an object of the input, of a kind that the command asked for.
type object struct {
	runtime.Object
	origin origin
	// name is how people know it, such as "AppTier production/shop".
	name string
}

// rawObject is what has to be known about an object before its type is. An item stays undecoded.
type rawObject struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Items      []rawItem `json:"items"`
}

// rawItem is JSON that is decoded later.
type rawItem []byte

// UnmarshalJSON keeps the text, which the decoder may reuse.
func (r *rawItem) UnmarshalJSON(text []byte) error {
	*r = slices.Clone(text)
	return nil
}

// decoder turns documents into objects, and collects what is wrong with them.
type decoder struct {
	// scheme holds the kinds that are wanted; others are counted and left alone.
	scheme *runtime.Scheme
	// namespace is that of objects which do not say theirs.
	namespace string

	objects  []object
	ignored  map[string]int
	problems []error
	seen     map[string]origin
}

func newDecoder(namespace string, addToScheme ...func(*runtime.Scheme) error) (*decoder, error) {
	d := &decoder{scheme: runtime.NewScheme(), namespace: namespace, ignored: map[string]int{}, seen: map[string]origin{}}
	for _, add := range addToScheme {
		if err := add(d.scheme); err != nil {
			return nil, fmt.Errorf("registering kinds: %w", err)
		}
	}
	return d, nil
}

// decode decodes every document, and returns everything that is wrong with any of them.
func (d *decoder) decode(documents []document) error {
	for _, doc := range documents {
		text, err := doc.json()
		switch {
		case err != nil:
			d.problems = append(d.problems, err)
		case string(text) != "null": // a document that says nothing
			d.add(origin{document: doc}, text, schema.GroupVersionKind{})
		}
	}
	return errors.Join(d.problems...)
}

// add decodes one object, or those of a list. Items may leave their kind out when the list's kind
// says it, as the API server's do.
func (d *decoder) add(from origin, text []byte, implied schema.GroupVersionKind) {
	var raw rawObject
	if err := json.Unmarshal(text, &raw); err != nil {
		d.problem(from.String(), "not a Kubernetes object: %v", err)
		return
	}
	if raw.Kind == "" && raw.APIVersion == "" {
		raw.APIVersion, raw.Kind = implied.ToAPIVersionAndKind()
	}
	if raw.Kind == "" || raw.APIVersion == "" {
		d.problem(from.String(), "not a Kubernetes object: it has no apiVersion or no kind")
		return
	}
	gvk := schema.FromAPIVersionAndKind(raw.APIVersion, raw.Kind)
	of, isList := strings.CutSuffix(gvk.Kind, "List")
	if isList && len(raw.Items) > 0 && from.item == 0 {
		for i, item := range raw.Items {
			d.add(origin{document: from.document, item: i + 1}, item, itemKind(gvk, of))
		}
		return
	}
	d.addObject(from, text, gvk)
}

// itemKind is the kind of a list's items, unless they say otherwise. The kind List is of anything.
func itemKind(list schema.GroupVersionKind, of string) schema.GroupVersionKind {
	if of == "" {
		return schema.GroupVersionKind{}
	}
	return list.GroupVersion().WithKind(of)
}

// addObject keeps an object if its kind is wanted.
func (d *decoder) addObject(from origin, text []byte, gvk schema.GroupVersionKind) {
	if !d.scheme.Recognizes(gvk) {
		if gvk.Group == v1alpha1.GroupVersion.Group {
			d.problem(from.atField("kind"), "there is no %s in %s: it has AppTier", gvk.Kind, v1alpha1.GroupVersion)
			return
		}
		d.ignored[gvk.GroupKind().String()]++
		return
	}
	options := serializer.SerializerOptions{Strict: isStrict(gvk)}
	decoded, _, err := serializer.NewSerializerWithOptions(serializer.DefaultMetaFactory, d.scheme, d.scheme, options).Decode(text, &gvk, nil)
	if err != nil {
		d.strictProblems(from, gvk.Kind, err)
		return
	}
	accessor, err := meta.Accessor(decoded)
	if err != nil { // an empty list
		return
	}
	if accessor.GetNamespace() == "" && isNamespaced(gvk) {
		accessor.SetNamespace(d.namespace)
	}
	d.keep(object{Object: decoded, origin: from, name: gvk.Kind + " " + qualified(accessor)})
}

// keep keeps an object that is the first of its name: of two, nobody can say which one is meant.
func (d *decoder) keep(o object) {
	if first, found := d.seen[o.name]; found {
		d.problem(o.origin.atField("metadata.name"), "%s is also in %s: remove one of them", o.name, first)
		return
	}
	d.seen[o.name] = o.origin
	d.objects = append(d.objects, o)
}

// isStrict says whether unknown fields of a kind are refused. Rules that are not understood must
// not be skipped; what is only looked at, such as pods, may come from a newer cluster.
func isStrict(gvk schema.GroupVersionKind) bool { return gvk.Group != "" }

// isNamespaced says so of the kinds that commands ask for.
func isNamespaced(gvk schema.GroupVersionKind) bool {
	return gvk.Kind != "Namespace" && gvk.Kind != "Node"
}

func qualified(o metav1.Object) string {
	if o.GetNamespace() == "" {
		return o.GetName()
	}
	return o.GetNamespace() + "/" + o.GetName()
}

// strictProblems reports each thing that strict decoding found, with its line if the library says
// which field it is.
func (d *decoder) strictProblems(from origin, kind string, err error) {
	strict, ok := runtime.AsStrictDecodingError(err)
	if !ok {
		d.problem(from.String(), "%s cannot be read: %v", kind, err)
		return
	}
	for _, violation := range strict.Errors() {
		var field interface{ FieldPath() string }
		where := from.String()
		if errors.As(violation, &field) {
			where = from.atField(field.FieldPath())
		}
		d.problem(where, "%s: %v", kind, violation)
	}
}

func (d *decoder) problem(where, format string, args ...any) {
	d.problems = append(d.problems, fmt.Errorf("%s: %s", where, fmt.Sprintf(format, args...)))
}

// nothingFound is the error of an input without any AppTier: the wrong file, most likely, and a
// check that checks nothing must not pass.
func (d *decoder) nothingFound() error {
	if len(d.ignored) == 0 {
		return errors.New("the input holds no object: nothing to do")
	}
	var found []string
	for _, kind := range slices.Sorted(maps.Keys(d.ignored)) {
		found = append(found, fmt.Sprintf("%d %s", d.ignored[kind], kind))
	}
	return fmt.Errorf("the input holds no AppTier of %s, only %s", v1alpha1.GroupVersion, strings.Join(found, ", "))
}
