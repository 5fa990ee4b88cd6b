package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/apptier/apptier/test/bench/process"
)

// manager is the manager as a process of its own.
type manager struct {
	command *exec.Cmd
	started time.Time
	address string
	token   string
	log     *os.File
	client  *http.Client
}

// startManager starts the program with its own defaults, but for what needs a cluster around it.
func (b *bench) startManager(ctx context.Context) (*manager, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return nil, err
	}
	logFile, err := os.Create(filepath.Join(b.dir, "manager.log"))
	if err != nil {
		return nil, err
	}
	m := &manager{
		address: address, token: b.token, log: logFile,
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}, // its certificate is its own
	}
	m.command = exec.CommandContext(ctx, filepath.Join(b.dir, "manager"),
		"--webhook=false", "--metrics-bind-address="+address, "--health-probe-bind-address=0")
	m.command.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(b.dir, "kubeconfig"),
		"GOMEMLIMIT=220MiB") // as in config/manager
	m.command.Stdout, m.command.Stderr = logFile, logFile
	m.started = time.Now()
	if err := m.command.Start(); err != nil {
		return nil, fmt.Errorf("starting the manager: %w", err)
	}
	return m, nil
}

func (m *manager) stop() error {
	if err := m.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := m.command.Wait()
	m.client.CloseIdleConnections()
	return errors.Join(err, m.log.Close())
}

// metrics reads the manager's metrics.
func (m *manager) metrics(ctx context.Context) (process.Metrics, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+m.address+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+m.token)
	response, err := m.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the metrics endpoint answered %s", response.Status)
	}
	return process.ParseMetrics(response.Body)
}
