package nri

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/containerd/nri/pkg/stub"
	"github.com/go-logr/logr"
)

const (
	pluginName = "apptier-enforcer"
	// pluginIndex is the plugin's place among others, from 00 to 99. It is late, because another plugin may refuse the
	// pod.
	pluginIndex = "90"
)

var (
	errClosed      = errors.New("it closed the connection")
	errNoAddresses = errors.New("the container runtime does not tell the pod's addresses")
)

// session connects to the runtime, and returns when the connection has ended.
func (p *Plugin) session(ctx context.Context) error {
	dialed, err := (&net.Dialer{}).DialContext(ctx, "unix", p.Socket)
	if err != nil {
		return err
	}
	conn := &connection{Conn: dialed, ended: make(chan struct{})}
	defer conn.Close()
	s, err := stub.New(p, stub.WithConnection(conn), stub.WithPluginName(pluginName), stub.WithPluginIdx(pluginIndex),
		stub.WithLogger(logger{p.Log}))
	if err != nil {
		return err
	}
	started := make(chan error, 1)
	go func() { started <- s.Start(ctx) }()
	select {
	case err := <-started:
		if err != nil {
			return fmt.Errorf("registering: %w", err)
		}
	case <-conn.ended:
		// Start may wait forever then: it holds the lock that the code that notices the end waits for.
		return fmt.Errorf("registering: %w", errClosed)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer s.Stop()
	p.began()
	select {
	case <-conn.ended:
		return errClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// connection says when it has ended, on either side.
type connection struct {
	net.Conn
	once  sync.Once
	ended chan struct{}
}

func (c *connection) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		c.once.Do(func() { close(c.ended) })
	}
	return n, err
}

// logger is the logger of the stub. Its messages are for debugging: errors are returned, too.
type logger struct{ log logr.Logger }

func (l logger) Debugf(_ context.Context, format string, args ...any) { l.say(format, args) }
func (l logger) Infof(_ context.Context, format string, args ...any)  { l.say(format, args) }
func (l logger) Warnf(_ context.Context, format string, args ...any)  { l.say(format, args) }
func (l logger) Errorf(_ context.Context, format string, args ...any) { l.say(format, args) }

func (l logger) say(format string, args []any) {
	l.log.V(1).Info("NRI: " + fmt.Sprintf(format, args...))
}
