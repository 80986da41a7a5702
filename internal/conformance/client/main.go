// Command client is Hanse's client under the Connect project's conformance suite. The suite starts it, sends the calls that it shall make to
// its standard input, and reads how they ended from its standard output:
//
//	connectconformance --mode client --conf client.yaml -- ./client
package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"

	"github.com/hanse-go/hanse/internal/conformance/conformancepb"
	_ "google.golang.org/grpc/encoding/gzip" // the suite compresses by gzip
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdin, os.Stdout); err != nil {
		slog.Error("the conformance client failed", "err", err)
		os.Exit(1)
	}
}

// run makes the calls that in asks for, some at a time, until in ends. When ctx ends first, it returns at once.
func run(ctx context.Context, in io.Reader, out io.Writer) error {
	results := &results{out: out}
	done := make(chan error, 1)
	go func() {
		var calls sync.WaitGroup
		defer func() {
			calls.Wait()
			results.mu.Lock()
			defer results.mu.Unlock()
			done <- results.err
		}()
		slots := make(chan struct{}, 4*runtime.GOMAXPROCS(0))
		for {
			req := new(conformancepb.ClientCompatRequest)
			err := conformancepb.ReadMessage(in, req)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				results.fail(err)
				return
			}
			slots <- struct{}{}
			calls.Go(func() {
				defer func() { <-slots }()
				results.add(req.TestName, invoke(ctx, req))
			})
		}
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// results writes how calls ended, one at a time.
type results struct {
	mu  sync.Mutex
	out io.Writer
	err error // the first
}

func (r *results) add(test string, resp *conformancepb.ClientCompatResponse) {
	resp.TestName = test
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := conformancepb.WriteMessage(r.out, resp); err != nil && r.err == nil {
		r.err = err
	}
}

func (r *results) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}
