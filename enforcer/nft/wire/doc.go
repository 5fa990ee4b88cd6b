// Package wire writes steps to the kernel's nf_tables over netlink, as the nft program would: bytes,
// comments and all, so that nft lists what it writes as if it had written it itself.
//
// It knows what rulesets of this project are made of, and no more: for what else there is Run returns
// an UnsupportedError and has changed nothing, and the nft program is the way to go.
//
// The protocol is that of linux/netfilter/nf_tables.h and nfnetlink.h; how nft uses it, and what it
// keeps in user data, is in libnftnl (include/libnftnl/udata.h, common.h) and nft's src/mnl.c.
package wire
