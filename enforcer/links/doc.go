// Package links reads the network interfaces of a node over rtnetlink, and what is at the other ends of those
// that lead into the network namespaces of pods. It needs the capability NET_ADMIN and no mount: a namespace
// is named by its number (IFLA_LINK_NETNSID), and the kernel reads inside of it on request (IFA_TARGET_NETNSID
// and IFLA_TARGET_NETNSID of linux/if_addr.h and linux/if_link.h, since Linux 4.20).
package links
