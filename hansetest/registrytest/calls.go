package registrytest

import (
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc/interop/grpc_testing"
)

// calls calls front a hundred times a second, whether or not earlier calls were answered, and counts.
type calls struct {
	mu         sync.Mutex
	ok, failed int
	all        int // that failed, ever
	firstErr   error
	by         []string // process IDs
}

func newCalls(t *testing.T, reg discovery.Registry) *calls {
	t.Helper()
	c := new(calls)
	client := &rpc.Client{Registry: reg}
	conn := rpc.NewConn("front")
	if err := conn.Bind(client); err != nil {
		t.Fatal(err)
	}
	stub := grpc_testing.NewTestServiceClient(conn)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				wg.Go(func() { c.call(stub) })
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		for _, closer := range []io.Closer{conn, client} {
			if err := closer.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return c
}

func (c *calls) call(stub grpc_testing.TestServiceClient) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	res, err := stub.UnaryCall(ctx, &grpc_testing.SimpleRequest{})
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failed++
		c.all++
		if c.firstErr == nil {
			c.firstErr = err
		}
		return
	}
	c.ok++
	if pid := res.GetHostname(); !slices.Contains(c.by, pid) {
		c.by = append(c.by, pid)
	}
}

// take returns what was counted since the last time.
func (c *calls) take() (ok, failed, by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ok, failed, by = c.ok, c.failed, len(c.by)
	c.ok, c.failed, c.by = 0, 0, nil
	return ok, failed, by
}

func (c *calls) answerers() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.by)
}

func (c *calls) answeredBy(pid string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.by, pid)
}

// check fails the test when a call has failed.
func (c *calls) check(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all > 0 {
		t.Errorf("%d calls failed, the first with: %v", c.all, c.firstErr)
	}
}
