package links

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Watch keeps the links up to date until the context ends, and calls changed after every change that
// matters: of a link, of an address of the node's, of a default route.
func (n *Node) Watch(ctx context.Context, changed func()) error {
	stop := context.AfterFunc(ctx, n.events.Close)
	defer stop()
	for {
		messages, _, err := n.events.Receive()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS): // more changes than the socket holds
			if err := n.Refresh(); err != nil {
				return err
			}
			changed()
			continue
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			return fmt.Errorf("listening to changes of links: %w", err)
		}
		before := n.Revision()
		for _, m := range messages {
			n.apply(m)
		}
		if n.Revision() != before {
			changed()
		}
	}
}

// apply takes in one message.
func (n *Node) apply(m syscall.NetlinkMessage) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch m.Header.Type {
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		n.revision.Addresses++
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		if len(m.Data) > 1 && m.Data[1] == 0 { // rtm_dst_len of struct rtmsg
			n.revision.Defaults++
		}
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		// Those of bridges tell of ports, without most of what is known of links, and others follow them.
		if len(m.Data) >= unix.SizeofIfInfomsg && m.Data[0] != unix.AF_BRIDGE {
			n.applyLink(m)
		}
	}
}

func (n *Node) applyLink(m syscall.NetlinkMessage) {
	header := unix.NlMsghdr(m.Header)
	l, err := netlink.LinkDeserialize(&header, m.Data)
	if err != nil {
		return // of a kind that is read otherwise; the next list has it
	}
	now := read(l)
	was, there := n.links[now.Index]
	switch {
	case m.Header.Type == unix.RTM_DELLINK && there:
		delete(n.links, now.Index)
		n.revision.Links++
	case m.Header.Type == unix.RTM_NEWLINK && (!there || was != now):
		n.links[now.Index] = now
		n.revision.Links++
	}
}
