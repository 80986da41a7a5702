// Command hanse creates, generates, runs and calls systems of services built with Hanse. Run `hanse help` for what it does.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	u := ui.New(os.Stdin, os.Stdout, os.Stderr, os.Environ())
	os.Exit(run(ctx, u, os.Args[1:]))
}

// run carries out one command line and returns its exit status.
func run(ctx context.Context, u *ui.UI, args []string) int {
	root := newRoot(u)
	root.SetArgs(args)
	return u.Fail(root.ExecuteContext(ctx))
}
