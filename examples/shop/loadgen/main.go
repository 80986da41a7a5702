// Command loadgen visits the shop: a steady stream of requests, as people would make them, whether or not the shop keeps up.
//
//	go run ./shop/loadgen --rate 200 --duration 1m
//
// It finds the shop as every program does, or is started by hanse start loadgen. It ends with a table of what became of the requests and
// with status 1 when one of them failed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/shop/load"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	l := &load.Load{}
	flags := flag.NewFlagSet("loadgen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Float64Var(&l.Rate, "rate", 50, "`requests` that are due in a second")
	flags.DurationVar(&l.Duration, "duration", 0, "how long requests come due; 0: until Ctrl-C")
	flags.DurationVar(&l.Timeout, "timeout", 5*time.Second, "how long a request may take")
	flags.IntVar(&l.Limit, "limit", 2000, "`requests` that may wait for an answer at once; what is due beyond is not sent and has failed")
	flags.Uint64Var(&l.Seed, "seed", 0, "chooses the visits")
	asJSON := flags.Bool("json", false, "write the report as JSON to standard output")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2 // flags has said why
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "loadgen: takes no arguments, got %q; loadgen --help\n", flags.Args())
		return 2
	}
	fail := func(err error) int {
		fmt.Fprintln(stderr, "loadgen:", err)
		return 1
	}
	app, err := hanse.FromEnv()
	if err != nil {
		return fail(err)
	}
	defer app.Close()
	l.App = app
	live := line{out: stderr}
	l.Progress = live.show

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	report, err := l.Run(ctx)
	live.end()
	if err != nil {
		return fail(err)
	}
	if *asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(report)
	} else {
		_, err = report.WriteTo(stdout)
	}
	if err != nil {
		return fail(err)
	}
	if report.Failed > 0 {
		return 1
	}
	return 0
}
