package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// controlPlane is an etcd and an API server, which nodes reach over the network.
type controlPlane struct {
	environment *envtest.Environment
	client      kubernetes.Interface
	kubeconfig  string // a file
}

// startControlPlane starts the n-th one, with the kinds in a folder if one is given. Its objects are in memory.
func startControlPlane(assets, kinds string, n int) (*controlPlane, error) {
	environment := &envtest.Environment{
		BinaryAssetsDirectory:    assets,
		ControlPlaneStartTimeout: 2 * time.Minute,
		ControlPlaneStopTimeout:  time.Minute,
	}
	if kinds != "" {
		environment.CRDDirectoryPaths = []string{kinds}
	}
	serving := &environment.ControlPlane.GetAPIServer().SecureServing
	serving.Address, serving.Port = controlAddress.Addr().String(), strconv.Itoa(6443+n)
	if _, err := environment.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting an API server: %w", err), environment.Stop())
	}
	c := &controlPlane{environment: environment, kubeconfig: filepath.Join(os.TempDir(), fmt.Sprintf("kubeconfig-%d", n))}
	if err := os.WriteFile(c.kubeconfig, environment.KubeConfig, 0o600); err != nil {
		return nil, errors.Join(err, environment.Stop())
	}
	config := rest.CopyConfig(environment.Config)
	config.QPS = -1 // the bench itself is not to wait
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, errors.Join(err, environment.Stop())
	}
	c.client = client
	return c, nil
}

func (c *controlPlane) stop() error { return c.environment.Stop() }
