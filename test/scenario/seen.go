package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	connections "github.com/apptier/apptier/api/connections/v1alpha1"
	"github.com/apptier/apptier/policy/reach"
)

// Connections asks the API of connections about a namespace, or about all for metav1.NamespaceAll.
func Connections(ctx context.Context, c Cluster, namespace string) (connections.ConnectionList, error) {
	config, err := c.RESTConfig()
	if err != nil {
		return connections.ConnectionList{}, err
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return connections.ConnectionList{}, err
	}
	text, err := clients.RESTClient().Get().AbsPath("/apis", connections.GroupVersion.String()).
		NamespaceIfScoped(namespace, namespace != metav1.NamespaceAll).Resource("connections").DoRaw(ctx)
	if err != nil {
		return connections.ConnectionList{}, fmt.Errorf("asking for the connections of %s: %w: %s", namespace, err, text)
	}
	var list connections.ConnectionList
	return list, json.Unmarshal(text, &list)
}

// Seen is the matrix that nodes saw since a time, whose enforcers record what passes too; closed is the verdict of what is
// not to pass. It names the cells that nobody saw, and those seen both ways. What a pod sends to itself does not leave it, so that is
// open, and not for nodes to see.
func Seen(
	list connections.ConnectionList, snapshot reach.Snapshot, since time.Time, closed connections.Verdict,
) (m Matrix, unclear []string) {
	m = newMatrix()
	seen := func(from, to types.NamespacedName, protocol corev1.Protocol, port int32) (open, known bool) {
		if from == to {
			return true, true
		}
		verdicts := map[connections.Verdict]bool{}
		for _, c := range list.Items {
			if c.Reason == connections.ReasonDeniedElsewhere {
				continue // it passed at one end, and not at the other
			}
			if end(c.Source) == from && end(c.Destination) == to && c.Protocol == protocol && c.Port == port && !c.Last.Time.Before(since) {
				verdicts[c.Verdict] = true
			}
		}
		passed := verdicts[connections.Allowed]
		if closed == connections.WouldDeny { // what would be denied passes
			return passed && !verdicts[closed], passed
		}
		return passed, passed != verdicts[closed]
	}
	var dns types.NamespacedName
	for _, pod := range snapshot.Pods {
		if isDNS(pod) {
			dns = types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
		}
	}
	for row, source := range members {
		for column, to := range destinations {
			open, known := seen(source.key(), to.pod, to.protocol, to.port)
			m.Open[row][column] = open
			if !known {
				unclear = append(unclear, m.Sources[row]+" to "+m.Destinations[column])
			}
		}
		udp, known := seen(source.key(), dns, corev1.ProtocolUDP, 53)
		tcp, both := seen(source.key(), dns, corev1.ProtocolTCP, 53)
		m.Open[row][len(destinations)] = udp && tcp
		if !known || udp && !both { // who finds no address does not go on
			unclear = append(unclear, m.Sources[row]+" to "+dnsColumn)
		}
	}
	return m, unclear
}

func end(e connections.End) types.NamespacedName {
	return types.NamespacedName{Namespace: e.Namespace, Name: e.Pod}
}
