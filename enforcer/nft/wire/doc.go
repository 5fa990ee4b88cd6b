// Package wire writes steps to the kernel's nf_tables over netlink, byte for byte like the nft program,
// including comments, so that nft lists the result as its own.
//
// It supports only what this project's rulesets need: for anything else Run changes nothing and returns
// an UnsupportedError, and the nft program must write it.
//
// linux/netfilter/nf_tables.h and nfnetlink.h define the protocol; how nft uses it, and what it keeps in
// user data, is in libnftnl (include/libnftnl/udata.h, common.h) and nft's src/mnl.c.
package wire
