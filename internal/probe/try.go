package probe

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
)

// atOnce is how many connections are tried at a time.
const atOnce = 32

// Longest is how long a probe takes at most for so many targets.
func Longest(targets int, timeout, after time.Duration) time.Duration {
	rounds := (targets + atOnce - 1) / atOnce
	return after + time.Duration(rounds)*timeout
}

// Try tries all targets, each for as long as the timeout says.
func Try(ctx context.Context, targets []Target, timeout time.Duration) []Outcome {
	outcomes := make([]Outcome, len(targets))
	slots := make(chan struct{}, atOnce)
	var group sync.WaitGroup
	for i, target := range targets {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			outcomes[i] = outcomeOf(try(ctx, target, timeout))
		})
	}
	group.Wait()
	return outcomes
}

func try(ctx context.Context, target Target, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, strings.ToLower(string(target.Protocol)), target.Address.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if target.Protocol == corev1.ProtocolUDP {
		return ask(ctx, conn, target.Address.Port())
	}
	return nil
}

// ask sends a datagram, and again each second, until something comes back.
func ask(ctx context.Context, conn net.Conn, port uint16) error {
	const again = time.Second
	end, _ := ctx.Deadline()
	question, answer := questionFor(port), make([]byte, 1)
	for {
		if _, err := conn.Write(question); err != nil {
			return err
		}
		until := time.Now().Add(again)
		if until.After(end) {
			until = end
		}
		if err := conn.SetReadDeadline(until); err != nil {
			return err
		}
		_, err := conn.Read(answer)
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || !until.Before(end) || ctx.Err() != nil {
			return err
		}
	}
}

// dnsPort is where a name server listens.
const dnsPort = 53

// questionFor is a question that the server of a port answers, where there is a usual one.
func questionFor(port uint16) []byte {
	if port != dnsPort {
		return []byte("apptier\n")
	}
	message := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 1, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName("."), Type: dnsmessage.TypeNS, Class: dnsmessage.ClassINET}},
	}
	packed, err := message.Pack()
	if err != nil {
		panic(err) // the message is a constant
	}
	return packed
}

// outcomeOf says what an error of a connection means; nil is that there was none.
func outcomeOf(err error) Outcome {
	is := func(numbers ...syscall.Errno) bool {
		for _, number := range numbers {
			if errors.Is(err, number) {
				return true
			}
		}
		return false
	}
	var network net.Error
	switch {
	case err == nil:
		return Connected
	case is(syscall.ECONNREFUSED, syscall.ECONNRESET):
		return Refused
	case is(syscall.EHOSTUNREACH, syscall.ENETUNREACH):
		return Unreachable
	case is(syscall.EPERM, syscall.EACCES):
		return Forbidden
	case is(syscall.ETIMEDOUT), errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return Silent
	default:
		return Failed
	}
}
