// Package report writes findings for people, programs, code scanners and pull requests.
package report
