package api

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
)

// asTable says whether kubectl asks for a table, and what its rows are to include. The media type that it names first
// is the one it wants: https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
func asTable(r *http.Request) (includes metav1.IncludeObjectPolicy, is bool) {
	first, _, _ := strings.Cut(r.Header.Get("Accept"), ",")
	var table, v1 bool
	for parameter := range strings.SplitSeq(first, ";") {
		table = table || strings.TrimSpace(parameter) == "as=Table"
		v1 = v1 || strings.TrimSpace(parameter) == "v=v1"
	}
	includes = cmp.Or(metav1.IncludeObjectPolicy(r.URL.Query().Get("includeObject")), metav1.IncludeMetadata)
	return includes, table && v1
}

var columns = []metav1.TableColumnDefinition{
	{Name: "Name", Type: "string", Format: "name", Description: "The name stays the same while the connection goes on.", Priority: 1},
	{Name: "Last", Type: "string", Description: "When the node last saw it."},
	{Name: "Verdict", Type: "string", Description: "Denied, WouldDeny or Allowed."},
	{Name: "Source", Type: "string", Description: "The pod that began it, or an address."},
	{Name: "Destination", Type: "string", Description: "The pod that was to answer, or an address."},
	{Name: "Port", Type: "string", Description: "The destination's protocol and port."},
	{Name: "Count", Type: "integer", Description: "How often it was judged."},
	{Name: "Direction", Type: "string", Description: "The side whose policies decided."},
	{Name: "Node", Type: "string", Description: "The node that saw it.", Priority: 1},
}

func tableOf(list connections.ConnectionList, includes metav1.IncludeObjectPolicy) metav1.Table {
	table := metav1.Table{
		TypeMeta:          metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "Table"},
		ListMeta:          list.ListMeta,
		ColumnDefinitions: columns,
		Rows:              []metav1.TableRow{},
	}
	for i := range list.Items {
		c := &list.Items[i]
		row := metav1.TableRow{Cells: []any{
			c.Name, c.Last.UTC().Format(time.RFC3339), string(c.Verdict), nameOf(c.Source), nameOf(c.Destination),
			fmt.Sprintf("%s/%d", c.Protocol, c.Port), c.Count, cmp.Or(string(c.Direction), "-"), c.Node,
		}}
		switch includes {
		case metav1.IncludeObject:
			row.Object = runtime.RawExtension{Object: c}
		case metav1.IncludeNone:
		default:
			row.Object = runtime.RawExtension{Object: &metav1.PartialObjectMetadata{
				TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"}, ObjectMeta: c.ObjectMeta,
			}}
		}
		table.Rows = append(table.Rows, row)
	}
	return table
}

// nameOf is the pod's name, or the address of what is no pod.
func nameOf(end connections.End) string {
	if end.Pod == "" {
		return end.Address
	}
	return end.Namespace + "/" + end.Pod
}
