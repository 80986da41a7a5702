package http2_test

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hanse-go/hanse/internal/hpack"
	"github.com/hanse-go/hanse/internal/http2"
)

// benchHandler answers each request with its body, on workers, as a unary call of RPC would be answered.
type benchHandler struct {
	size    int // of a body
	workers http2.Workers
	batch   []http2.Job // one connection only
}

type benchServerCall struct {
	http2.Stream
	h    *benchHandler
	body []byte
}

// bodies are large ones.
var bodies = sync.Pool{New: func() any { return new([64 << 10]byte) }}

func putBody(p []byte) { bodies.Put((*[64 << 10]byte)(p[:64<<10])) }

func (h *benchHandler) NewStream(*http2.Conn, *http2.Header, bool) (*http2.Stream, http2.Receiver) {
	c := &benchServerCall{h: h}
	return &c.Stream, c
}

func (h *benchHandler) EndBatch(*http2.Conn) {
	h.workers.Push(h.batch)
	clear(h.batch)
	h.batch = h.batch[:0]
}

func (c *benchServerCall) OnHeaders(*http2.Header, bool) {}
func (c *benchServerCall) OnAbort(error)                 {}
func (c *benchServerCall) OnData(p []byte, end bool) {
	if c.body == nil {
		if c.h.size < 16<<10 {
			c.body = make([]byte, 0, c.h.size)
		} else {
			c.body = bodies.Get().(*[64 << 10]byte)[:0]
		}
	}
	if n := len(c.body); n < cap(c.body) && len(p) > 0 && &p[0] == &c.body[:n+1][n] {
		c.body = c.body[:n+len(p)]
	} else {
		c.body = append(c.body, p...)
	}
	c.Consumed(len(p))
	if end {
		c.h.batch = append(c.h.batch, c)
	}
}

func (c *benchServerCall) Place(n int) []byte {
	have := len(c.body)
	return c.body[have:min(cap(c.body), have+n)]
}

func (c *benchServerCall) Run(*http2.Worker) {
	f := &http2.Frames{Head: okHead, Data: c.body, Trail: doneTrail, End: true, Last: true}
	if len(c.body) >= 16<<10 {
		f.Release = putBody
	}
	c.Send(f)
}

type benchCall struct {
	http2.Stream
	done  chan error
	n     int
	more  []byte
	large []byte
}

func (c *benchCall) OnHeaders(_ *http2.Header, end bool) {
	if end {
		c.done <- nil
	}
}
func (c *benchCall) OnData(p []byte, end bool) {
	if len(p) > 0 && (c.large == nil || &p[0] != &c.large[0]) {
		c.large = append(c.large[:0], p...) // as a message would be put together
	}
	c.n += len(p)
	c.Consumed(len(p))
	if end {
		c.done <- nil
	}
}
func (c *benchCall) Place(n int) []byte {
	if c.large == nil {
		c.large = make([]byte, 64<<10)
	}
	return c.large[:min(n, len(c.large))]
}
func (c *benchCall) OnAbort(err error) { c.done <- err }

func BenchmarkCalls(b *testing.B) {
	for _, size := range []int{100, 1 << 10, 64 << 10} {
		for _, callers := range []int{1, 16, 64, 512} {
			b.Run(fmt.Sprintf("%dB/c=%d", size, callers), func(b *testing.B) { benchCalls(b, "tcp", size, callers) })
		}
	}
}

func benchCalls(b *testing.B, network string, size, callers int) {
	cn, sn := networks[network](b)
	h := &benchHandler{size: size}
	defer h.workers.Close()
	server := http2.NewServerConn(sn, new(http2.Config), h)
	var served sync.WaitGroup
	served.Go(func() { server.Serve() })
	defer served.Wait()
	client := http2.NewClientConn(cn, new(http2.Config), http2.ClientEvents{})
	defer func() { client.Close(net.ErrClosed); <-client.Done() }()
	body := make([]byte, size)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	cpu := cpuTime()
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			c := &benchCall{done: make(chan error, 1)}
			f := &http2.Frames{Head: postHead, Data: body, End: true}
			if size >= 16<<10 {
				f.Release = func([]byte) {}
			}
			for left.Add(-1) >= 0 {
				c.n = 0
				c.more = hpack.AppendLiteral(c.more[:0], "grpc-timeout", "1000m", false)
				f.HeadMore = c.more
				if err := client.Open(nil, &c.Stream, c, f); err != nil {
					b.Error(err)
					return
				}
				if err := <-c.done; err != nil || c.n != size {
					b.Error(err, c.n)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
}
