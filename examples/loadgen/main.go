// Command loadgen visits the shop as many customers do, at a steady rate, and tells how that went.
//
//	go run ./loadgen                                      # finds the running shop; 50 requests a second for 10 seconds
//	go run ./loadgen --rate 200 --duration 1m
//	go run ./loadgen --for 5000 --json
//	go run ./loadgen --url http://127.0.0.1:8080          # the storefront's pages instead of the services behind them
//	go run ./loadgen --system shop                        # a system by its name, from any folder
//
// The stream is open-loop: requests start when the clock says, whether or not earlier ones have been answered, and latency counts from
// the moment at which a request should have started. A service that stalls therefore shows with all the requests that it held up.
//
// The exit status is 1 when any request failed, and 2 when the command line is wrong.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/hanse-go/hanse"
)

type options struct {
	rate     float64
	duration time.Duration
	requests int
	sessions int
	timeout  time.Duration
	url      string
	system   string
	seed     uint64
	json     bool
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("loadgen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Float64Var(&o.rate, "rate", 50, "requests a second")
	flags.DurationVar(&o.duration, "duration", 10*time.Second, "how long")
	flags.IntVar(&o.requests, "for", 0, "how many requests, instead of how long")
	flags.IntVar(&o.sessions, "sessions", 50, "customers who are in the shop at a time")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Second, "after which a request counts as failed")
	flags.StringVar(&o.url, "url", "", "visit the pages of the storefront at this URL, and not its services")
	flags.StringVar(&o.system, "system", "", "name of the system to find the services in (default: $HANSE_SYSTEM, else that of this folder)")
	flags.Uint64Var(&o.seed, "seed", 1, "of the customers' choices")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	if err := flags.Parse(args); err != nil {
		if err == flag.ErrHelp {
			return 0
		}
		return 2
	}
	if flags.NArg() > 0 || o.rate <= 0 || o.duration <= 0 || o.requests < 0 || o.sessions < 1 || o.timeout <= 0 {
		fmt.Fprintln(stderr, "loadgen: takes no arguments, and rate, duration, sessions and timeout must be more than 0; see --help")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	result, err := o.load(ctx, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "loadgen:", err)
		return 1
	}
	if o.json {
		err = result.writeJSON(stdout)
	} else {
		err = result.writeText(stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "loadgen:", err)
		return 1
	}
	if result.Failed > 0 || result.Sent == 0 {
		return 1
	}
	return 0
}

// load runs the stream and returns what came of it. When ctx ends it ends early.
func (o options) load(ctx context.Context, progress io.Writer) (*result, error) {
	var newCustomer func(n uint64) customer
	if o.url != "" {
		site, err := newSite(o.url)
		if err != nil {
			return nil, err
		}
		defer site.close()
		newCustomer = func(n uint64) customer { return site.customer(newChoices(o.seed, n)) }
	} else {
		if o.system != "" {
			if err := os.Setenv("HANSE_SYSTEM", o.system); err != nil {
				return nil, err
			}
		}
		if os.Getenv("HANSE_LOG_LEVEL") == "" { // the live line is for people; what finds the shop need not talk between
			if err := os.Setenv("HANSE_LOG_LEVEL", "warn"); err != nil {
				return nil, err
			}
		}
		app, err := hanse.FromEnv()
		if err != nil {
			return nil, err
		}
		defer app.Close()
		services := connect(app)
		newCustomer = func(n uint64) customer { return services.customer(newChoices(o.seed, n)) }
	}
	rec := newRecorder()
	pacer := &pacer{rate: o.rate, duration: o.duration, requests: o.requests, sessions: o.sessions, timeout: o.timeout, newCustomer: newCustomer, rec: rec}
	line := newLine(progress, rec)
	done := make(chan struct{})
	go func() {
		defer close(done)
		line.run()
	}()
	took := pacer.run(ctx)
	line.stop()
	<-done
	return rec.result(o.rate, took), nil
}
