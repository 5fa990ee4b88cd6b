package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/apptier/apptier/internal/testenv/network"
)

const (
	pace      = time.Millisecond // between two packets of a flow
	atOnce    = 20               // packets a tick: with more flows than that, theirs come less often
	probePort = 8080
)

// outside is where the pods of other nodes are.
const outside = "outside"

// prober sends the packets of flows and notes which arrive.
type prober struct {
	mu    sync.Mutex
	flows map[uint32]*flow
	order []uint32 // of the flows that send
	wake  *sync.Cond
	next  int    // of order
	last  uint32 // flow

	hold sync.RWMutex // whoever has it has the receivers pause

	raw map[string]int // sockets that send what they are given, by the pod they are in, or outside
}

func newProber(l *lab) (*prober, error) {
	p := &prober{flows: map[uint32]*flow{}, raw: map[string]int{}}
	p.wake = sync.NewCond(&p.mu)
	for _, name := range []string{server, bystander} {
		var receiver *net.UDPConn
		if err := network.In(l.pods[name], func() (err error) {
			receiver, err = net.ListenUDP("udp4", &net.UDPAddr{Port: probePort})
			return err
		}); err != nil {
			return nil, fmt.Errorf("receiving packets: %w", err)
		}
		if err := enlarge(receiver); err != nil {
			return nil, fmt.Errorf("receiving packets: %w", err)
		}
		go p.receive(receiver)
	}
	spaces := maps.Clone(l.pods)
	spaces[outside] = l.outside
	for name, ns := range spaces {
		if err := network.In(ns, func() (err error) {
			p.raw[name], err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
			return err
		}); err != nil {
			return nil, fmt.Errorf("sending packets: %w", err)
		}
	}
	go p.send()
	return p, nil
}

// enlarge makes room for what arrives while others have the processors, or it would count as lost. It
// goes beyond what the machine sets as the limit: socket(7).
func enlarge(receiver *net.UDPConn) error {
	raw, err := receiver.SyscallConn()
	if err != nil {
		return err
	}
	control := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20) })
	return errors.Join(err, control)
}

// send sends a packet of each flow each tick, as long as the bench lasts.
func (p *prober) send() {
	for range time.Tick(pace) {
		p.mu.Lock()
		for len(p.order) == 0 {
			p.wake.Wait()
		}
		for range min(len(p.order), atOnce) {
			p.next = (p.next + 1) % len(p.order)
			p.flows[p.order[p.next]].sendNext()
		}
		p.mu.Unlock()
	}
}

// receive notes the packets that arrive over UDP. It answers those of connections.
func (p *prober) receive(conn *net.UDPConn) {
	buf := make([]byte, 64)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		p.hold.RLock()
		p.hold.RUnlock() //nolint:staticcheck // it is there to wait
		if f := p.arrived(buf[:n]); f != nil && f.answers {
			_, _ = conn.WriteToUDPAddrPort(buf[:n], from)
		}
	}
}

// arrived notes a packet by its payload.
func (p *prober) arrived(payload []byte) *flow {
	now := time.Now()
	if len(payload) != payloadLength {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.flows[binary.BigEndian.Uint32(payload)]
	if f == nil {
		return nil
	}
	if n := int(binary.BigEndian.Uint32(payload[4:])); n < len(f.packets) && f.packets[n].arrived.IsZero() {
		f.packets[n].arrived = now
		f.note(n)
	}
	return f
}

func (p *prober) add(f *flow) *flow {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	f.prober, f.id = p, p.last
	f.forget()
	p.flows[f.id] = f
	p.resume(f)
	return f
}

// remove ends a flow.
func (p *prober) remove(f *flow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pause(f)
	delete(p.flows, f.id)
}

// pause is for the holder of the lock.
func (p *prober) pause(f *flow) {
	p.order = slices.DeleteFunc(p.order, func(id uint32) bool { return id == f.id })
}

// resume is for the holder of the lock.
func (p *prober) resume(f *flow) {
	p.order = append(p.order, f.id)
	p.wake.Signal()
}

// connections starts a flow of packets each of which is a new connection: its source port differs from
// that of the one before. From is a pod's name, or outside.
func (p *prober) connections(from string, source, target netip.Addr) *flow {
	fd, to := p.raw[from], &unix.SockaddrInet4{Addr: target.As4()}
	header := udpHeader(source, target)
	return p.add(&flow{patience: settledAfter, write: func(payload []byte) error {
		// Below 2^16 and above the ports that programs listen on.
		binary.BigEndian.PutUint16(header[20:], uint16(10000+binary.BigEndian.Uint32(payload[4:])%50000))
		err := unix.Sendto(fd, append(header, payload...), 0, to)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOBUFS) {
			return nil
		}
		return err
	}})
}

// udpHeader is that of an IPv4 packet with payloadLength bytes over UDP; the source port is left out,
// as is the checksum, which may be 0: RFC 768. The kernel fills in the rest: raw(7).
func udpHeader(source, target netip.Addr) []byte {
	const ip, udp = 20, 8
	h := make([]byte, ip+udp)
	h[0] = 4<<4 | ip/4
	binary.BigEndian.PutUint16(h[2:], ip+udp+payloadLength)
	h[8], h[9] = 64, unix.IPPROTO_UDP
	copy(h[12:], source.AsSlice())
	copy(h[16:], target.AsSlice())
	binary.BigEndian.PutUint16(h[22:], probePort)
	binary.BigEndian.PutUint16(h[24:], udp+payloadLength)
	return slices.Clip(h)
}
