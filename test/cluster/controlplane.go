package cluster

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"

	"github.com/apptier/apptier/test/cluster/internal/control"
)

// As the nodes see them, see cmd/node.
const (
	inState = "/run/apptier/state"
	inBin   = "/run/apptier/bin"
)

// The components, by the names that Stop and Start take.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Containerd        = "containerd"
	Kubelet           = "kubelet"
	KubeProxy         = "kube-proxy"
)

const (
	etcdAddress = "127.0.0.1:2379"
	apiPort     = 6443
	// aggregatorUser is who may speak for others to the API server.
	aggregatorUser = "front-proxy-client"
)

// serverURL is the API server as the nodes and pods reach it.
func (p plan) serverURL() string {
	return "https://" + netip.AddrPortFrom(p[0].controlPlane(), apiPort).String()
}

// prepareControlPlane writes the files of the control plane's node.
func prepareControlPlane(dir string, p plan, ca *authority) error {
	own := []net.IP{net.IPv4(127, 0, 0, 1)}
	for _, a := range p {
		own = append(own, a.controlPlane().AsSlice(), a.apiService().AsSlice())
	}
	api, err := ca.server(APIServer, []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc.cluster.local", "localhost"}, own...)
	if err != nil {
		return err
	}
	kubelets, err := ca.client("kube-apiserver-kubelet-client", "system:masters")
	if err != nil {
		return err
	}
	aggregator, err := ca.client(aggregatorUser)
	if err != nil {
		return err
	}
	private, public, err := newSigningKey()
	if err != nil {
		return err
	}
	if err := writeFiles(dir, map[string][]byte{
		"ca.crt": ca.pem, "api.crt": api.cert, "api.key": api.key, "sa.key": private, "sa.pub": public,
		"kubelet-client.crt": kubelets.cert, "kubelet-client.key": kubelets.key,
		"aggregator.crt": aggregator.cert, "aggregator.key": aggregator.key,
	}); err != nil {
		return err
	}
	for _, user := range []string{ControllerManager, Scheduler} {
		if err := ca.kubeconfig(filepath.Join(dir, user+".kubeconfig"), "cluster", p.serverURL(), "system:"+user); err != nil {
			return err
		}
	}
	return nil
}

// spec is how a component is started, from its arguments.
func spec(name string, args ...string) control.Spec {
	return control.Spec{
		Name: name,
		Argv: append([]string{inBin + "/" + name}, args...),
		// containerd looks up its shim and runc, kube-proxy looks up nft.
		Env: []string{"PATH=" + inBin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"},
		Log: "/var/log/" + name + ".log",
	}
}

func etcdSpec() control.Spec {
	return spec(Etcd,
		"--data-dir=/var/lib/etcd",
		"--listen-client-urls=http://"+etcdAddress,
		"--advertise-client-urls=http://"+etcdAddress,
		"--listen-peer-urls=http://127.0.0.1:2380",
		"--unsafe-no-fsync", // nothing here must outlive a crash of the machine
		"--log-level=warn",
	)
}

func apiServerSpec(p plan) control.Spec {
	return spec(APIServer,
		"--etcd-servers=http://"+etcdAddress,
		"--bind-address="+p[0].unspecified().String(),
		"--advertise-address="+p[0].controlPlane().String(),
		fmt.Sprintf("--secure-port=%d", apiPort),
		"--service-cluster-ip-range="+join(p, func(a addresses) netip.Prefix { return a.services }),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file="+inState+"/sa.pub",
		"--service-account-signing-key-file="+inState+"/sa.key",
		"--client-ca-file="+inState+"/ca.crt",
		"--tls-cert-file="+inState+"/api.crt",
		"--tls-private-key-file="+inState+"/api.key",
		"--kubelet-client-certificate="+inState+"/kubelet-client.crt",
		"--kubelet-client-key="+inState+"/kubelet-client.key",
		"--kubelet-preferred-address-types=InternalIP", // or exec would look nodes up in DNS
		// Aggregated API servers, and whoever delegates authentication, look for these.
		"--requestheader-client-ca-file="+inState+"/ca.crt",
		"--requestheader-allowed-names="+aggregatorUser,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file="+inState+"/aggregator.crt",
		"--proxy-client-key-file="+inState+"/aggregator.key",
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged",
		"--enable-aggregator-routing=true", // webhooks are called at their pods' addresses
	)
}

func controllerManagerSpec() control.Spec {
	return spec(ControllerManager, append(clientFlags(ControllerManager),
		"--service-account-private-key-file="+inState+"/sa.key",
		"--root-ca-file="+inState+"/ca.crt",
		"--use-service-account-credentials=true",
		"--flex-volume-plugin-dir=/var/lib/flex-volume-plugins", // it would be made in /usr
		"--allocate-node-cidrs=false",                           // the routes are laid by node number, see addresses
		"--leader-elect=false",
	)...)
}

func schedulerSpec() control.Spec {
	return spec(Scheduler, append(clientFlags(Scheduler), "--leader-elect=false")...)
}

func clientFlags(name string) []string {
	file := inState + "/" + name + ".kubeconfig"
	return []string{"--kubeconfig=" + file, "--authentication-kubeconfig=" + file, "--authorization-kubeconfig=" + file}
}
