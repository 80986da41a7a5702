package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

func newTestContext(deadline time.Time) *handlerContext {
	return &handlerContext{
		method: "/a.B/C", deadline: deadline,
		local: &localSide{sent: metadata.MD{"k": {"1", "2"}}, fixed: &fixedHeader{authority: "b", contentType: "application/grpc", userAgent: "hanse"}},
		peer:  &peer.Peer{Addr: inProcessAddr("caller")},
	}
}

// The values are found in the object itself, and in the chain that is there in case that a grpc release keeps them otherwise.
func TestGRPCFindsItsValues(t *testing.T) {
	if !keysWork() {
		t.Error("this release of grpc keeps its values under keys that are not known: calls are slower than they need to be")
	}
	for name, ctx := range map[string]context.Context{"object": newTestContext(time.Time{}), "chain": newTestContext(time.Time{}).chain()} {
		t.Run(name, func(t *testing.T) {
			for _, ctx := range []context.Context{ctx, context.WithValue(ctx, t, 1)} {
				md, ok := metadata.FromIncomingContext(ctx)
				want := metadata.MD{"k": {"1", "2"}, ":authority": {"b"}, "content-type": {"application/grpc"}, "user-agent": {"hanse"}}
				if !ok || fmt.Sprintf("%#v", md) != fmt.Sprintf("%#v", want) {
					t.Errorf("metadata %#v", md)
				}
				if _, ok := metadata.FromOutgoingContext(ctx); ok {
					t.Error("has outgoing metadata")
				}
				if p, _ := peer.FromContext(ctx); p == nil || p.Addr.String() != "caller" || p.Addr.Network() != "inprocess" {
					t.Errorf("peer %v", p)
				}
				if m, _ := grpc.Method(ctx); m != "/a.B/C" {
					t.Errorf("method %q", m)
				}
				if v := ctx.Value("nothing"); v != nil {
					t.Errorf("has the value %v", v)
				}
			}
		})
	}
}

func TestHandlerContextEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		deadline time.Duration
		end      func(c *handlerContext)
		want     error
	}{
		"cancelled":                       {0, func(c *handlerContext) { c.end(context.Canceled) }, context.Canceled},
		"cancelled before its deadline":   {time.Minute, func(c *handlerContext) { c.end(context.Canceled) }, context.Canceled},
		"deadline":                        {time.Minute, func(c *handlerContext) { time.Sleep(time.Minute) }, context.DeadlineExceeded},
		"deadline, and the caller saw it": {time.Minute, func(c *handlerContext) { time.Sleep(time.Minute); c.end(context.DeadlineExceeded) }, context.DeadlineExceeded},
		"deadline, then cancelled":        {time.Minute, func(c *handlerContext) { time.Sleep(time.Minute); _ = c.Err(); c.end(context.Canceled) }, context.DeadlineExceeded},
		"handler returned":                {0, func(c *handlerContext) { c.finish(true) }, context.Canceled},
	} {
		for _, lazy := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, lazy %t", name, lazy), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var deadline time.Time
					if tt.deadline > 0 {
						deadline = time.Now().Add(tt.deadline)
					}
					c := newTestContext(deadline)
					defer c.finish(true)
					var derived context.Context
					if !lazy {
						var cancel context.CancelFunc
						derived, cancel = context.WithCancel(c)
						defer cancel()
					}
					if err := c.Err(); err != nil {
						t.Fatalf("ended before: %v", err)
					}
					if d, ok := c.Deadline(); ok != (tt.deadline > 0) || !d.Equal(deadline) {
						t.Errorf("deadline %v %t", d, ok)
					}
					tt.end(c)
					synctest.Wait()
					if lazy {
						if err := c.Err(); err != tt.want {
							t.Errorf("Err without Done is %v, want %v", err, tt.want)
						}
					}
					select {
					case <-c.Done():
					default:
						t.Error("Done is open")
					}
					if err := c.Err(); err != tt.want {
						t.Errorf("Err is %v, want %v", err, tt.want)
					}
					if err := context.Cause(c); err != tt.want {
						t.Errorf("Cause is %v, want %v", err, tt.want)
					}
					if derived != nil && derived.Err() != tt.want {
						t.Errorf("derived: %v, want %v", derived.Err(), tt.want)
					}
					late, cancel := context.WithCancel(c)
					defer cancel()
					if late.Err() != tt.want {
						t.Errorf("derived afterwards: %v, want %v", late.Err(), tt.want)
					}
				})
			})
		}
	}
}

// Contexts that a handler derives must not cost a goroutine each, as they do for contexts of foreign types.
func TestDerivedContextsAttach(t *testing.T) {
	c := newTestContext(time.Time{})
	defer c.finish(true)
	var key *any
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	context.Cause(probeContext{Context: ended, asked: func(k any) { key = &k }})
	if key == nil || c.Value(*key) != nil {
		t.Fatal("the context package asks for nothing, or finds something before Done")
	}
	c.Done()
	if c.Value(*key) == nil {
		t.Error("the context package does not find a context of its own")
	}
}

type probeContext struct {
	context.Context
	asked func(key any)
}

func (p probeContext) Value(key any) any { p.asked(key); return nil }

func TestHandlerContextConcurrently(t *testing.T) {
	c := newTestContext(time.Now().Add(time.Minute))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			<-c.Done()
			if c.Err() != context.Canceled {
				t.Error(c.Err())
			}
		})
		wg.Go(func() { metadata.FromIncomingContext(c) })
		wg.Go(func() { c.SetHeader(metadata.Pairs("a", "b")) })
		wg.Go(func() { c.SetTrailer(metadata.Pairs("a", "b")) })
		wg.Go(func() { _ = fmt.Sprint(c) })
	}
	c.SendHeader(nil)
	c.finish(true)
	wg.Wait()
}

func TestHeadersAndTrailers(t *testing.T) {
	c := newTestContext(time.Time{})
	sent := 0
	c.local.onHeader = func() { sent++ }
	md := metadata.Pairs("h", "1")
	if err := errors.Join(c.SetHeader(md), c.SetHeader(nil), c.SetHeader(metadata.Pairs("h", "2", "content-type", "mine", ":x", "y"))); err != nil {
		t.Fatal(err)
	}
	md["h"][0] = "changed"
	if c.receivedHeader() != nil || sent != 0 {
		t.Error("sent too early")
	}
	for _, bad := range []metadata.MD{{"": {"v"}}, {"A": {"v"}}, {"a b": {"v"}}, {"a": {"\n"}}, {"a": {"é"}}} {
		for name, err := range map[string]error{"SetHeader": c.SetHeader(bad), "SendHeader": c.SendHeader(bad), "SetTrailer": c.SetTrailer(bad)} {
			if status.Code(err) != codes.Internal {
				t.Errorf("%s(%#v): %v", name, bad, err)
			}
		}
	}
	if err := c.SendHeader(metadata.Pairs("i-bin", "\x00\xff")); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"SetHeader": c.SetHeader(md), "SendHeader": c.SendHeader(md)} {
		if err == nil {
			t.Errorf("%s after SendHeader succeeds", name)
		}
	}
	got := c.receivedHeader()
	if sent != 1 || len(got) != 3 || !slices.Equal(got["h"], []string{"1", "2"}) || got["i-bin"][0] != "\x00\xff" || got["content-type"][0] != "application/grpc" {
		t.Errorf("header %#v, sent %d times", got, sent)
	}
	got["h"][0] = "changed"
	if c.receivedHeader()["h"][0] != "1" {
		t.Error("the received header is shared")
	}

	if err := errors.Join(c.SetTrailer(metadata.Pairs("t", "1")), c.SetTrailer(metadata.Pairs("t", "2"))); err != nil {
		t.Fatal(err)
	}
	c.finish(true)
	if c.SetTrailer(md) == nil || sent != 1 {
		t.Error("a trailer after the end succeeds, or the header was sent again")
	}
	if got := c.receivedTrailer(); len(got) != 1 || !slices.Equal(got["t"], []string{"1", "2"}) {
		t.Errorf("trailer %#v", got)
	}
}

// TestSizeOfCall bounds the object of a call whose caller sends no metadata and no trace: beyond 512 bytes objects cost the garbage
// collector more, and how often it runs is what calls pay for.
func TestSizeOfCall(t *testing.T) {
	if n := unsafe.Sizeof(unaryServerCall{}); n > 512 {
		t.Errorf("%d bytes", n)
	}
}
