package manifest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	serializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/cli/assertion"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
)

// Object is an object of the input, of a kind that the command asked for.
type Object struct {
	runtime.Object
	Origin Origin
	// name is how people know it, such as "AppTier production/shop".
	Name string
}

// rawObject is what has to be known about an object before its type is. Items stay undecoded: in
// kinds that are no lists they may be anything.
type rawObject struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Items      json.RawMessage `json:"items"`
}

// Decoder turns documents into objects, and collects what is wrong with them.
type Decoder struct {
	// scheme holds the kinds that are wanted; the rest is left alone.
	scheme *runtime.Scheme
	// namespace of objects that do not name one.
	namespace string

	Objects []Object
	// others counts the objects that are no AppTiers, by kind.
	others   map[string]int
	Problems []error
	seen     map[string]Origin
	// generated counts the objects whose name the API server is to make.
	generated int
	// strangers says that there are objects of kinds that are not known, which may stand for pods.
	Strangers bool
	// leftOut are the findings of files that are no manifests.
	LeftOut []Finding
}

// Kinds are kinds of one API group and version.
type Kinds struct {
	Of    schema.GroupVersion
	Types []runtime.Object
}

// NewDecoder returns a decoder for AppTiers, StagedNetworkPolicies and more kinds, each with its list.
func NewDecoder(namespace string, more ...Kinds) *Decoder {
	d := &Decoder{scheme: runtime.NewScheme(), namespace: namespace, others: map[string]int{}, seen: map[string]Origin{}}
	d.scheme.AddKnownTypes(v1alpha1.GroupVersion, &v1alpha1.AppTier{}, &v1alpha1.AppTierList{}, &v1alpha1.StagedNetworkPolicy{},
		&v1alpha1.StagedNetworkPolicyList{})
	for _, k := range more {
		d.scheme.AddKnownTypes(k.Of, k.Types...)
	}
	return d
}

// Decode decodes every document, and returns everything that is wrong with any of them.
func (d *Decoder) Decode(documents []Document) error {
	for _, doc := range documents {
		if doc.patchOf != "" {
			d.leaveOut(doc, "it is not a manifest, but belongs to "+doc.patchOf, "build that with -k")
			continue
		}
		text, err := doc.json()
		switch {
		case err == nil && doc.among && !isManifestText(text):
			d.leaveOut(doc, "it is not a manifest: it has no apiVersion and no kind", "name only the files that are manifests")
		case err != nil:
			d.Problems = append(d.Problems, err)
		case string(text) != "null": // a document that says nothing
			d.Add(Origin{Document: doc}, text, schema.GroupVersionKind{})
		}
	}
	return errors.Join(d.Problems...)
}

// leaveOut notes a file of a folder that is none of the manifests.
func (d *Decoder) leaveOut(doc Document, what, fix string) {
	isNoted := func(f Finding) bool { return f.File() == doc.File }
	if !slices.ContainsFunc(d.LeftOut, isNoted) {
		d.LeftOut = append(d.LeftOut, Finding{
			Finding: check.Finding{Check: check.NotJudged, Severity: check.Note, Message: "left out: " + what, Fix: fix},
			Source:  Object{Origin: Origin{Document: doc}, Name: filepath.Base(doc.File)},
		})
	}
}

// isManifestText says whether a document is an object that says what it is.
func isManifestText(text []byte) bool {
	var raw rawObject
	return string(text) == "null" || utiljson.Unmarshal(text, &raw) == nil && raw.Kind+raw.APIVersion != ""
}

// Add decodes one object, or those of a list. Items may leave their kind out when the list's kind
// says it, as the API server's do.
func (d *Decoder) Add(from Origin, text []byte, implied schema.GroupVersionKind) {
	var raw rawObject
	if err := utiljson.Unmarshal(text, &raw); err != nil {
		d.problem(from, "", "not a Kubernetes object: %s", explain(err))
		return
	}
	if raw.Kind == "" && raw.APIVersion == "" {
		raw.APIVersion, raw.Kind = implied.ToAPIVersionAndKind()
	}
	if raw.Kind == "" || raw.APIVersion == "" {
		d.problem(from, "", "not a Kubernetes object: it has no apiVersion or no kind")
		return
	}
	gvk := schema.FromAPIVersionAndKind(raw.APIVersion, raw.Kind)
	if of, isList := strings.CutSuffix(gvk.Kind, "List"); isList && len(raw.Items) > 0 {
		d.addItems(from, raw.Items, itemKind(gvk, of))
		return
	}
	d.AddObject(from, text, gvk)
}

func (d *Decoder) addItems(from Origin, text []byte, implied schema.GroupVersionKind) {
	var items []json.RawMessage
	if err := utiljson.Unmarshal(text, &items); err != nil {
		d.problem(from, "items", "%s", explain(err))
		return
	}
	if from.Item > 0 {
		d.problem(from, "", "a list within a list: write its items into the outer one")
		return
	}
	for i, item := range items {
		d.Add(Origin{Document: from.Document, Item: i + 1}, item, implied)
	}
}

// itemKind is the kind of a list's items, unless they say otherwise. The kind List is of anything.
func itemKind(list schema.GroupVersionKind, of string) schema.GroupVersionKind {
	if of == "" {
		return schema.GroupVersionKind{}
	}
	return list.GroupVersion().WithKind(of)
}

// AddObject keeps an object if its kind is wanted.
func (d *Decoder) AddObject(from Origin, text []byte, gvk schema.GroupVersionKind) {
	isOurs := gvk.Group == v1alpha1.GroupVersion.Group
	if !isOurs {
		d.others[gvk.GroupKind().String()]++
	}
	if !d.scheme.Recognizes(gvk) {
		if gvk.Group == assertion.GroupVersion.Group && d.scheme.IsGroupRegistered(gvk.Group) {
			d.problem(from, "kind",
				"%s of %s is not known here: write kind: ConnectionTest and apiVersion: %s", gvk.Kind, gvk.GroupVersion(), assertion.GroupVersion)
		} else if isOurs {
			d.problem(from, "kind",
				"%s of %s is not known here: write kind: AppTier and apiVersion: %s", gvk.Kind, gvk.GroupVersion(), v1alpha1.GroupVersion)
		} else {
			d.addUnknown(from, text, gvk)
		}
		return
	}
	text = asKubernetesReads(gvk, text)
	if isStrict(gvk) && d.refusePlaceholders(from, gvk, text) {
		return
	}
	decoded, err := d.decodeObject(text, gvk)
	if err != nil {
		d.decodeProblems(from, gvk, text, err)
		return
	}
	accessor, err := meta.Accessor(decoded)
	if err != nil { // an empty list
		return
	}
	if accessor.GetNamespace() == "" && isNamespaced(gvk) {
		accessor.SetNamespace(d.namespace)
	}
	d.nameGenerated(accessor)
	d.keep(Object{Object: decoded, Origin: from, Name: gvk.Kind + " " + Qualified(accessor)})
}

func (d *Decoder) decodeObject(text []byte, gvk schema.GroupVersionKind) (runtime.Object, error) {
	options := serializer.SerializerOptions{Strict: isStrict(gvk)}
	decoded, _, err := serializer.NewSerializerWithOptions(serializer.DefaultMetaFactory, d.scheme, d.scheme, options).Decode(text, &gvk, nil)
	return decoded, err
}

// nameGenerated gives an object a name of the form that the API server makes of generateName
// (k8s.io/apiserver/pkg/storage/names), a different one each time: two such objects are two.
func (d *Decoder) nameGenerated(o metav1.Object) {
	if o.GetName() == "" && o.GetGenerateName() != "" {
		d.generated++
		o.SetName(fmt.Sprintf("%s%05d", o.GetGenerateName(), d.generated))
	}
}

// keep keeps an object that is the first of its name: of two, nobody can say which one is meant.
func (d *Decoder) keep(o Object) {
	if first, found := d.seen[o.Name]; found && !mayRepeat(o.Object) {
		d.problem(o.Origin, "metadata.name", "%s is also in %s: remove one of them", o.Name, first)
		return
	}
	d.seen[o.Name] = o.Origin
	d.Objects = append(d.Objects, o)
}

// isStrict says whether unknown fields of a kind are refused. Rules that are not understood must
// not be skipped; what is only looked at, such as pods, may come from a newer cluster.
func isStrict(gvk schema.GroupVersionKind) bool {
	return gvk.Group == v1alpha1.GroupVersion.Group || gvk.Group == networkingv1.GroupName || gvk.Group == assertion.GroupVersion.Group
}

// isNamespaced says so of the kinds that commands ask for.
func isNamespaced(gvk schema.GroupVersionKind) bool {
	return gvk.Kind != "Namespace" && gvk.Kind != "Node" && gvk.Kind != "ServiceCIDR" && gvk.Group != admissionv1.GroupName
}

// Qualified is NAMESPACE/NAME, or the name of what has no namespace.
func Qualified(o metav1.Object) string {
	if o.GetNamespace() == "" {
		return o.GetName()
	}
	return o.GetNamespace() + "/" + o.GetName()
}

// decodeProblems reports each thing that is wrong with an object that cannot be decoded, with its line.
func (d *Decoder) decodeProblems(from Origin, gvk schema.GroupVersionKind, text []byte, err error) {
	who, of := nameIn(gvk.Kind, text), d.scheme.AllKnownTypes()[gvk]
	add := func(path, what, fix string) {
		d.Problems = append(d.Problems, &Problem{origin: from, path: path, who: who, what: what, fix: fix})
	}
	var value any
	if utiljson.Unmarshal(text, &value) == nil {
		wrong, right := wrongTypes(of, value, from.written)
		for _, w := range wrong {
			add(w.path, w.what, w.fix)
		}
		if rest, marshalErr := json.Marshal(right); len(wrong) > 0 && marshalErr == nil {
			if _, err = d.decodeObject(rest, gvk); err == nil {
				return
			}
		}
	}
	violations := []error{err}
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		violations = strict.Errors()
	}
	for _, violation := range violations {
		var field interface{ FieldPath() string }
		if errors.As(violation, &field) {
			add(field.FieldPath(), "unknown field", nearestField(of, field.FieldPath()))
			continue
		}
		add("", explain(violation), "")
	}
}

// nameIn is the name of an object that is not decoded.
func nameIn(kind string, text []byte) string {
	var partial struct {
		Metadata struct{ Namespace, Name, GenerateName string } `json:"metadata"`
	}
	if err := json.Unmarshal(text, &partial); err != nil || partial.Metadata.Name+partial.Metadata.GenerateName == "" {
		return kind
	}
	return kind + " " + Qualified(&metav1.ObjectMeta{Namespace: partial.Metadata.Namespace,
		Name: cmp.Or(partial.Metadata.Name, partial.Metadata.GenerateName)})
}

// explain words an error of a decoder for people who have never seen the Go types.
func explain(err error) string {
	var wrongType *json.UnmarshalTypeError
	if !errors.As(err, &wrongType) {
		return strings.TrimPrefix(err.Error(), "json: ")
	}
	want := map[reflect.Kind]string{reflect.Struct: "an object", reflect.Map: "an object", reflect.Slice: "a list", reflect.String: "a string"}
	is := cmp.Or(map[string]string{"array": "a list", "object": "an object", "string": "a string", "number": "a number",
		"bool": "true or false"}[wrongType.Value], wrongType.Value)
	text := fmt.Sprintf("%s where %s is wanted", is, cmp.Or(want[wrongType.Type.Kind()], "something else"))
	if wrongType.Field != "" {
		text = wrongType.Field + ": " + text
	}
	return text
}

// NothingFound is the error of an input without any AppTier: the wrong file, most likely, and a
// check that checks nothing must not pass.
func (d *Decoder) NothingFound() error {
	if len(d.others) == 0 {
		return errors.New("the input holds no object: nothing to do")
	}
	var found []string
	for _, kind := range slices.Sorted(maps.Keys(d.others)) {
		found = append(found, fmt.Sprintf("%d %s", d.others[kind], kind))
	}
	return fmt.Errorf("the input holds no AppTier of %s, only %s", v1alpha1.GroupVersion, strings.Join(found, ", "))
}

// mayRepeat says whether the input may hold two objects of the same name: folders often hold an
// object and, for kustomize, patches of it. Who asks for one by its name is told, and nobody else.
func mayRepeat(o runtime.Object) bool {
	switch o.(type) {
	case *corev1.Service, *discoveryv1.EndpointSlice:
		return true
	}
	return kube.WorkloadOf(o) != nil
}
