package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
)

// Exec runs a program in a container of a pod, in the only one when none is named. A program that fails
// gives an error that is a k8s.io/client-go/util/exec.CodeExitError.
func (c API) Exec(ctx context.Context, pod types.NamespacedName, container string, argv ...string) (stdout, stderr string, err error) {
	config, err := c.RESTConfig()
	if err != nil {
		return "", "", err
	}
	clients, err := c.clientset()
	if err != nil {
		return "", "", err
	}
	url := clients.CoreV1().RESTClient().Get().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: container, Command: argv, Stdout: true, Stderr: true}, scheme.ParameterCodec).URL()
	executor, err := remotecommand.NewWebSocketExecutor(config, "GET", url.String())
	if err != nil {
		return "", "", fmt.Errorf("prepare to run in %s: %w", pod, err)
	}
	var out, problem bytes.Buffer
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &out, Stderr: &problem})
	if err != nil {
		err = fmt.Errorf("run %q in %s: %w", strings.Join(argv, " "), pod, err)
	}
	return out.String(), problem.String(), err
}

// Probe tries whether a pod of the agnhost image reaches a target, host:port, within a second. UDP and
// SCTP need a server that answers. Not reaching it is an answer; an error means that nothing was learned.
func (c API) Probe(ctx context.Context, pod types.NamespacedName, target string, protocol corev1.Protocol) (reachable bool, err error) {
	if _, _, err := net.SplitHostPort(target); err != nil {
		return false, fmt.Errorf("the target of a probe: %w", err)
	}
	if protocol == "" {
		protocol = corev1.ProtocolTCP
	}
	_, stderr, err := c.Exec(ctx, pod, "", "/agnhost", "connect", "--timeout=1s",
		"--protocol="+strings.ToLower(string(protocol)), target)
	if err == nil {
		return true, nil
	}
	var exit utilexec.CodeExitError
	if errors.As(err, &exit) && refused(stderr) {
		return false, nil
	}
	return false, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr))
}

// refused knows the two ways in which agnhost says that the network or the target said no.
func refused(stderr string) bool {
	return strings.HasPrefix(stderr, "TIMEOUT") || strings.HasPrefix(stderr, "REFUSED")
}
