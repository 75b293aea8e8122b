// Command retort turns a large model's behaviour on one domain into a small
// model that runs anywhere: see retort --help and the README.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	code := execute(ctx, os.Args, streams{os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}
