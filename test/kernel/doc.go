// Package kernel has no code of its own: its tests load compiled rulesets into the real kernel,
// send real packets between network namespaces, and compare what passes with policy/reach.
package kernel
