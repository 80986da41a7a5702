package rpc_test

import (
	"bytes"
	"context"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/rpc"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/peer"
)

// rawCaller is a client that sends the frames that a test wants, and notes what comes.
type rawCaller struct {
	*http2.Framer
	nc     net.Conn
	block  bytes.Buffer
	enc    *hpack.Encoder
	ended  atomic.Int64  // streams that were answered
	data   atomic.Int64  // bytes of DATA
	resets atomic.Int64  // by the server
	away   atomic.Int64  // code of GOAWAY; -1: none
	done   chan struct{} // closed when the connection has ended
	write  sync.Mutex
}

// raw connects a client with these settings.
func (h *hall) raw(t *testing.T, settings ...http2.Setting) *rawCaller {
	t.Helper()
	nc := h.dial(t)
	c := &rawCaller{Framer: http2.NewFramer(nc, nc), nc: nc, done: make(chan struct{})}
	c.enc = hpack.NewEncoder(&c.block)
	c.enc.SetMaxDynamicTableSizeLimit(0)
	c.away.Store(-1)
	nc.Write([]byte(http2.ClientPreface))
	c.WriteSettings(settings...)
	go func() {
		defer close(c.done)
		for {
			f, err := c.ReadFrame()
			if err != nil {
				return
			}
			switch f := f.(type) {
			case *http2.DataFrame:
				c.data.Add(int64(len(f.Data())))
			case *http2.RSTStreamFrame:
				c.resets.Add(1)
			case *http2.HeadersFrame:
				if f.StreamEnded() {
					c.ended.Add(1)
				}
			case *http2.GoAwayFrame:
				c.away.CompareAndSwap(-1, int64(f.ErrCode))
			}
		}
	}()
	return c
}

// call sends the i-th call, with an empty message.
func (c *rawCaller) call(i int, method string) error {
	id := uint32(2*i + 1)
	c.block.Reset()
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", method}, {":authority", "echo"}, {"content-type", "application/grpc"}, {"te", "trailers"}} {
		c.enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	c.write.Lock()
	defer c.write.Unlock()
	if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.block.Bytes(), EndHeaders: true}); err != nil {
		return err
	}
	return c.WriteData(id, true, make([]byte, 5))
}

func (c *rawCaller) wantCalm(t *testing.T, want bool) {
	t.Helper()
	synctest.Wait()
	if calm := c.away.Load() == int64(http2.ErrCodeEnhanceYourCalm); calm != want {
		t.Errorf("told to leave: %v, want %v", calm, want)
	}
}

// TestResetBudget holds that a client that resets its calls is told to leave, and that no more handlers run than MaxStreams allows:
// they last although their calls are over.
func TestResetBudget(t *testing.T) {
	for _, tt := range []struct {
		budget, resets int
		left           bool
	}{{0, 5000, false}, {0, 20_000, true}, {100, 50, false}, {100, 200, true}, {-1, 30_000, false}} {
		synctest.Test(t, func(t *testing.T) {
			h := newHall(t, &rpc.Port{Limits: rpc.Limits{ResetBudget: tt.budget, MaxStreams: 20, ControlBudget: -1}})
			release := make(chan struct{})
			var running, most atomic.Int64
			h.echo.hook = func(context.Context, string) error {
				n := running.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				<-release
				running.Add(-1)
				return nil
			}
			c := h.raw(t)
			for i := range tt.resets {
				if c.call(i, addMethod) != nil {
					break
				}
				if i < 20 { // so that it runs
					synctest.Wait()
				}
				if c.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel) != nil {
					break
				}
				if i%10 == 0 {
					synctest.Wait()
				}
			}
			c.wantCalm(t, tt.left)
			if n := most.Load(); n == 0 || n > 20 {
				t.Errorf("%d handlers ran at once", n)
			}
			close(release)
			c.nc.Close()
			<-c.done
			h.close(t)
		})
	}
}

// TestControlBudget holds that a client that sends frames that bring no call forward is told to leave.
func TestControlBudget(t *testing.T) {
	for _, tt := range []struct {
		budget, frames int
		left           bool
	}{{0, 5000, false}, {0, 15_000, true}, {100, 50, false}, {100, 200, true}, {-1, 30_000, false}} {
		synctest.Test(t, func(t *testing.T) {
			h := newHall(t, &rpc.Port{Limits: rpc.Limits{ControlBudget: tt.budget}})
			c := h.raw(t)
			for range tt.frames {
				if c.WriteWindowUpdate(0, 1) != nil {
					break
				}
			}
			c.wantCalm(t, tt.left)
			c.nc.Close()
			<-c.done
			h.close(t)
		})
	}
}

// TestMaxQueuedBytes holds that what waits for a client that opens no window is bounded, for it and for all, that its calls wait
// meanwhile instead of failing, and that it loses its connection in the end.
func TestMaxQueuedBytes(t *testing.T) {
	const size, calls = 1 << 20, 1000
	for _, tt := range []struct {
		name    string
		limits  rpc.Limits
		method  string
		clients int
		most    int64 // handlers that run
		end     time.Duration
	}{
		{"default", rpc.Limits{}, addMethod, 1, 64, time.Minute},
		{"less", rpc.Limits{MaxQueuedBytes: 8 * size, StallTimeout: 10 * time.Second}, addMethod, 1, 8, 10 * time.Second},
		{"streams", rpc.Limits{MaxQueuedBytes: 8 * size}, listMethod, 1, 8, time.Minute},
		{"total", rpc.Limits{MaxQueuedBytes: 16 * size, MaxQueuedBytesTotal: 24 * size}, addMethod, 4, 24, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHall(t, &rpc.Port{Limits: tt.limits})
				h.echo.name = strings.Repeat("x", size)
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				var clients []*rawCaller
				start := time.Now()
				for range tt.clients {
					c := h.raw(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
					for i := range calls {
						if err := c.call(i, tt.method); err != nil {
							t.Fatal(err)
						}
					}
					clients = append(clients, c)
				}
				synctest.Wait()
				runtime.GC()
				runtime.ReadMemStats(&after)
				n := h.echo.calls.Load()
				heap := int64(after.HeapAlloc) - int64(before.HeapAlloc)
				t.Logf("%d calls to replies of %d MiB: %d handlers began, %d MiB of heap more", tt.clients*calls, size>>20, n, heap>>20)
				// Those that began before the last reply was queued run at the same time: how many they are is the scheduler's affair.
				if n < tt.most-1 || n > int64(tt.clients*calls)/2 {
					t.Errorf("%d of %d handlers began, want about %d", n, tt.clients*calls, tt.most)
				}
				if heap > n*2*size+32<<20 { // encoded, and the handler's own
					t.Errorf("%d bytes are held", heap)
				}
				for _, c := range clients {
					if c.resets.Load() > 0 || c.ended.Load() > 0 {
						t.Errorf("%d calls were reset, %d ended", c.resets.Load(), c.ended.Load())
					}
				}
				<-clients[0].done
				if took := time.Since(start); took < tt.end || took > 2*tt.end {
					t.Errorf("the connection lasted %v", took)
				}
				for _, c := range clients {
					c.nc.Close()
					<-c.done
				}
				h.close(t)
			})
		})
	}
}

// TestSlowClient holds that a client that takes its replies slowly gets all of them, over streams, too.
func TestSlowClient(t *testing.T) {
	const size, calls = 1 << 20, 50
	for _, method := range []string{addMethod, listMethod} {
		synctest.Test(t, func(t *testing.T) {
			h := newHall(t, &rpc.Port{Limits: rpc.Limits{MaxQueuedBytes: 4 * size, MinPingInterval: -1}})
			h.echo.name = strings.Repeat("x", size)
			c := h.raw(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
			for i := range calls {
				if err := c.call(i, method); err != nil {
					t.Fatal(err)
				}
			}
			for range 10 * 3 * calls { // the connection's window opens bit by bit
				synctest.Wait()
				if c.ended.Load() == calls {
					break
				}
				time.Sleep(10 * time.Second)
				c.write.Lock()
				c.WriteWindowUpdate(0, size/2)
				c.write.Unlock()
			}
			if n := c.ended.Load(); n != calls || c.resets.Load() > 0 {
				t.Errorf("%d of %d calls ended, %d were reset", n, calls, c.resets.Load())
			}
			c.nc.Close()
			<-c.done
			h.close(t)
		})
	}
}

// TestStopWhileClientsTakeNothing holds that neither Stop nor Close waits for a client that takes nothing.
func TestStopWhileClientsTakeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, &rpc.Port{Limits: rpc.Limits{MaxQueuedBytes: 1 << 20}})
		h.echo.name = strings.Repeat("x", 1<<20)
		c := h.raw(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		for i := range 100 {
			c.call(i, addMethod)
		}
		synctest.Wait()
		start := time.Now()
		h.srv.Stop()
		h.port.Drain(t.Context()) // ends by StallTimeout
		if took := time.Since(start); took > 4*time.Minute {
			t.Errorf("Drain took %v", took)
		}
		c.nc.Close()
		<-c.done
		h.close(t)
	})
}

// TestAgeUnderLoad holds that connections that become too old cost no call.
func TestAgeUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, &rpc.Port{Limits: rpc.Limits{MaxConnectionAge: time.Second, MaxConnectionAgeGrace: 10 * time.Second}})
		h.net.SetLatency(time.Millisecond)
		var peers sync.Map
		h.echo.hook = func(ctx context.Context, _ string) error {
			p, _ := peer.FromContext(ctx)
			peers.Store(p.Addr.String(), true)
			time.Sleep(20 * time.Millisecond)
			return nil
		}
		conn := bound(t, &rpc.Client{
			Registry:   newScript(discovery.Instance{Service: "echo", ID: "a", State: discovery.Ready, Endpoints: []string{"mem://a:1"}}),
			Transports: []rpc.Transport{memory{h.net.Host("caller")}},
		})
		var all sync.WaitGroup
		var calls atomic.Int64
		until := time.Now().Add(20 * time.Second)
		for range 16 {
			all.Go(func() {
				for time.Now().Before(until) {
					if _, err := callEcho(t.Context(), conn, addMethod, "x"); err != nil {
						t.Error(err)
						return
					}
					calls.Add(1)
				}
			})
		}
		all.Wait()
		if n := calls.Load(); n != h.echo.calls.Load() || n < 1000 {
			t.Errorf("%d calls, and %d in the handler", n, h.echo.calls.Load())
		}
		conns := 0
		peers.Range(func(any, any) bool { conns++; return true })
		if conns < 10 {
			t.Errorf("%d connections in 20 s", conns)
		}
		conn.Close()
		h.close(t)
	})
}
