package main

import (
	"os"
	"runtime/debug"
	"strconv"

	"github.com/go-logr/logr"
)

// memoryVariable names the container's memory limit in bytes; the DaemonSet sets it from its own.
const memoryVariable = "MEMORY_LIMIT"

// limitMemory has garbage collected in time for the container's limit, unless GOMEMLIMIT says when. What
// the kernel keeps of sets counts to the container too: it allocates elements with GFP_KERNEL_ACCOUNT
// (nft_set_elem_init in the kernel's nf_tables_api.c), so a quarter is left to it.
func limitMemory(log logr.Logger) {
	text := os.Getenv(memoryVariable)
	if text == "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	limit, err := strconv.ParseInt(text, 10, 64)
	if err != nil || limit <= 0 {
		log.Info("The memory limit cannot be read, so there is none for the collection of garbage", "variable", memoryVariable, "value", text)
		return
	}
	debug.SetMemoryLimit(limit / 4 * 3)
}
