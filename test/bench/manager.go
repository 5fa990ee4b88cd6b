package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
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

// mebibytes reads a figure of the process, such as VmHWM, the most memory it ever had.
func (m *manager) mebibytes(figure string) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, figure+":"); ok {
			kilobytes, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			return kilobytes / 1024, err
		}
	}
	return 0, fmt.Errorf("the kernel tells no %s", figure)
}

// cpu is the processor time that the process has used; unlike time it depends little on what else the
// machine does.
func (m *manager) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, fields, _ := strings.Cut(string(text), ") ")
	var ticks int
	for _, field := range strings.Fields(fields)[11:13] { // utime and stime, see proc_pid_stat(5)
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100, nil
}

// metrics reads the manager's metrics.
func (m *manager) metrics(ctx context.Context) (map[string]float64, error) {
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
	return parse(response.Body)
}

// parse reads metrics in the text format: each line's name and labels, and its value.
func parse(text io.Reader) (map[string]float64, error) {
	values := map[string]float64{}
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		if i := strings.LastIndexByte(lines.Text(), ' '); i > 0 && !strings.HasPrefix(lines.Text(), "#") {
			if value, err := strconv.ParseFloat(lines.Text()[i+1:], 64); err == nil {
				values[lines.Text()[:i]] = value
			}
		}
	}
	return values, lines.Err()
}

// sum adds the values of a metric whose labels have all the given parts.
func sum(metrics map[string]float64, name string, parts ...string) (total float64) {
	for key, value := range metrics {
		matches := strings.HasPrefix(key, name+"{")
		for _, part := range parts {
			matches = matches && strings.Contains(key, part)
		}
		if matches {
			total += value
		}
	}
	return total
}
