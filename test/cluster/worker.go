package cluster

import (
	"bytes"
	"embed"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/test/cluster/build"
	"github.com/apptier/apptier/test/cluster/internal/control"
)

//go:embed files
var files embed.FS

var nodeFiles = template.Must(template.ParseFS(files, "files/*.tmpl"))

// nodeValues is what the configuration of a node's components depends on.
type nodeValues struct {
	ClusterDNS, Unspecified string
	PodSubnets, Everywhere  []netip.Prefix
	State, Bin              string
	Snapshotter, PauseImage string
	Bridge                  bool
}

// prepareNode writes the files of a node that runs pods.
func prepareNode(dir string, i int, s Shape, ca *authority) error {
	p := s.plan()
	values := nodeValues{
		ClusterDNS: p[0].dnsService().String(), Unspecified: p[0].unspecified().String(),
		State: inState, Bin: inBin,
		Snapshotter: snapshotter(dir), PauseImage: build.PauseImage,
		Bridge: s.CNI == CNIBridge,
	}
	for _, a := range p {
		values.PodSubnets = append(values.PodSubnets, a.nodePods(i))
		values.Everywhere = append(values.Everywhere, a.everywhere())
	}
	contents := map[string][]byte{"ca.crt": ca.pem}
	for name, file := range map[string]string{
		"kubelet.yaml": "kubelet.yaml", "containerd.toml": "containerd.toml", "cni.conflist": "cni/10-cluster.conflist",
	} {
		var out bytes.Buffer
		if err := nodeFiles.ExecuteTemplate(&out, name+".tmpl", values); err != nil {
			return err
		}
		contents[file] = out.Bytes()
	}
	if err := writeFiles(dir, contents); err != nil {
		return err
	}
	if err := ca.kubeconfig(filepath.Join(dir, Kubelet+".kubeconfig"), "cluster", p.serverURL(),
		"system:node:"+node(i), "system:nodes"); err != nil {
		return err
	}
	return ca.kubeconfig(filepath.Join(dir, KubeProxy+".kubeconfig"), "cluster", p.serverURL(), "system:"+KubeProxy)
}

// snapshotter says how containers get their file systems: overlays, except on a file system that takes
// none above it, where they are copies.
func snapshotter(dir string) string {
	var stat unix.Statfs_t
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil || !strings.Contains(string(known), "\toverlay\n") {
		return "native"
	}
	if err := unix.Statfs(dir, &stat); err != nil || stat.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "native"
	}
	return "overlayfs"
}

func containerdSpec() control.Spec {
	return spec(Containerd, "--config="+inState+"/containerd.toml")
}

func kubeletSpec(i int, p plan) control.Spec {
	return spec(Kubelet,
		"--config="+inState+"/kubelet.yaml",
		"--kubeconfig="+inState+"/"+Kubelet+".kubeconfig",
		"--hostname-override="+node(i),
		"--node-ip="+join(p, func(a addresses) netip.Addr { return a.node(i) }),
	)
}

func kubeProxySpec(i int, s Shape) control.Spec {
	return spec(KubeProxy,
		"--kubeconfig="+inState+"/"+KubeProxy+".kubeconfig",
		"--proxy-mode="+string(s.Proxy),
		"--hostname-override="+node(i),
		"--cluster-cidr="+join(s.plan(), func(a addresses) netip.Prefix { return a.pods }),
		// These settings exist in the machine's first network namespace only.
		"--conntrack-max-per-core=0",
		"--conntrack-tcp-timeout-established=0",
		"--conntrack-tcp-timeout-close-wait=0",
	)
}
