package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/enforcer/prove"
	"github.com/apptier/apptier/policy/budget"
	"github.com/apptier/apptier/policy/reach"
)

// errDiffers ends the command with a status, after it has said what differs.
var errDiffers = errors.New("the rules in this kernel are not the policies")

// proveKernel says whether the rules in this kernel are the policies of a snapshot.
func proveKernel(ctx context.Context, w io.Writer, snapshot reach.Snapshot, node string, limits budget.Limits, output string) error {
	kernel, err := nft.Open(compile.TableFamily, compile.TableName)
	if err != nil {
		return err
	}
	report, err := prove.Kernel(ctx, kernel, snapshot, node, limits)
	if err != nil {
		return err
	}
	if err := printReport(w, report, output); err != nil {
		return err
	}
	if len(report.Differences) > 0 {
		return errDiffers
	}
	return nil
}

func printReport(w io.Writer, report prove.Report, output string) error {
	switch output {
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	case "text":
		for _, d := range report.Differences {
			fmt.Fprintln(w, d)
		}
		for _, policy := range report.Refused {
			fmt.Fprintf(w, "NetworkPolicy %s is above its budget, so it isolates its pods and allows nothing\n", policy)
		}
		asked := fmt.Sprintf("%d addresses of %d kinds, %d questions", report.Addresses, report.Classes, report.Connections)
		switch {
		case report.Unknown > 0:
			fmt.Fprintf(w, "Not compared: %d of the questions, to which the policies have no answer\n", report.Unknown)
			if len(report.Differences) == 0 {
				fmt.Fprintf(w, "Of the rest, the rules in this kernel let through what the policies allow: %s\n", asked)
			}
		case len(report.Differences) == 0:
			fmt.Fprintf(w, "The rules in this kernel let through exactly what the policies allow: %s\n", asked)
		}
		return nil
	default:
		return fmt.Errorf("unknown output %q: use text or json with --prove", output)
	}
}
