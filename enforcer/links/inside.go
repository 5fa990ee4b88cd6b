package links

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ErrGone says that a link's other end is no longer there.
var ErrGone = errors.New("the other end of the link is gone")

// Inside reads the other end of a link that leads into another namespace.
func (n *Node) Inside(l Link) (End, error) {
	if !l.Leads() {
		return End{}, fmt.Errorf("link %s leads into no other namespace", l.Name)
	}
	n.asking.Lock()
	defer n.asking.Unlock()
	mac, err := n.macInside(l)
	if err != nil {
		return End{}, fmt.Errorf("the other end of link %s: %w", l.Name, err)
	}
	addresses, err := n.addressesInside(l)
	if err != nil {
		return End{}, fmt.Errorf("addresses at the other end of link %s: %w", l.Name, err)
	}
	return End{mac, addresses}, nil
}

func (n *Node) macInside(l Link) (net.HardwareAddr, error) {
	request := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	about := nl.NewIfInfomsg(unix.AF_UNSPEC)
	about.Index = int32(l.Peer)
	request.AddData(about)
	request.AddData(nl.NewRtAttr(unix.IFLA_TARGET_NETNSID, nl.Uint32Attr(uint32(l.Namespace))))
	answers, err := n.ask(request, unix.RTM_NEWLINK)
	if err != nil {
		return nil, err
	}
	for _, answer := range answers {
		attributes, err := nl.ParseRouteAttr(answer[unix.SizeofIfInfomsg:])
		if err != nil {
			return nil, err
		}
		for _, a := range attributes {
			if a.Attr.Type == unix.IFLA_ADDRESS {
				return a.Value, nil
			}
		}
	}
	return nil, nil
}

func (n *Node) addressesInside(l Link) ([]netip.Addr, error) {
	request := nl.NewNetlinkRequest(unix.RTM_GETADDR, unix.NLM_F_DUMP)
	about := nl.NewIfAddrmsg(unix.AF_UNSPEC)
	about.Index = uint32(l.Peer)
	request.AddData(about)
	request.AddData(nl.NewRtAttr(unix.IFA_TARGET_NETNSID, nl.Uint32Attr(uint32(l.Namespace))))
	answers, err := n.ask(request, unix.RTM_NEWADDR)
	if err != nil {
		return nil, err
	}
	var addresses []netip.Addr
	for _, answer := range answers {
		if int(nl.DeserializeIfAddrmsg(answer).Index) != l.Peer {
			continue
		}
		attributes, err := nl.ParseRouteAttr(answer[unix.SizeofIfAddrmsg:])
		if err != nil {
			return nil, err
		}
		// The local address is the first one, where a link has two: ip-address(8).
		values := map[uint16][]byte{}
		for _, a := range attributes {
			values[a.Attr.Type] = a.Value
		}
		value, ok := values[unix.IFA_LOCAL]
		if !ok {
			value = values[unix.IFA_ADDRESS]
		}
		if a, ok := netip.AddrFromSlice(value); ok {
			addresses = append(addresses, a.Unmap())
		}
	}
	return addresses, nil
}

// ask sends a request on the socket that checks requests strictly.
func (n *Node) ask(request *nl.NetlinkRequest, answer uint16) ([][]byte, error) {
	request.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: n.strict}}
	answers, err := request.Execute(unix.NETLINK_ROUTE, answer)
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENONET) {
		return nil, fmt.Errorf("%w (%w)", ErrGone, err)
	}
	return answers, err
}
