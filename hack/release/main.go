// Command release writes everything that a version of apptier is installed from into a folder: manifests, the chart, the
// plugin's archives, images, and what says where they come from. The same source gives the same bytes. It needs git, and
// Go with its module proxy: no container engine, and no registry, except to push to.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var r release
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.StringVar(&r.version, "version", "", "The version, such as v0.1.0: CHANGELOG.md must tell of it.")
	flags.StringVar(&r.registry, "registry", "ghcr.io/apptier", "Where the images are to be: the manifests and the chart say so.")
	flags.StringVar(&r.root, "repository", ".", "The repository.")
	flags.StringVar(&r.out, "out", "dist", "The folder to write to. What is in it goes.")
	flags.BoolVar(&r.dirty, "dirty", false, "Take the source even if it is not what is committed.")
	platforms := flags.String("platforms", "", "Platforms to make it for, such as linux/amd64,linux/arm64, to try it; empty is all.")
	push := flags.Bool("push", false, "Push the images of the folder to the registry, and write nothing.")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *push {
		return r.push(ctx)
	}
	r.choose(*platforms)
	if len(r.all()) == 0 {
		return fmt.Errorf("there is nothing for the platforms %q", *platforms)
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	return r.write(ctx)
}
