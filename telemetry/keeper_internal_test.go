package telemetry

import (
	"encoding/binary"
	"encoding/hex"
	"testing"
	"time"
	"unsafe"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func keeping(t *testing.T, change func(*Config)) (*Telemetry, *Service) {
	t.Helper()
	config := Config{Traces: Export{URL: "http://127.0.0.1:1/"}, Sampler: ParentBasedOff}
	if change != nil {
		change(&config)
	}
	tel, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return tel, tel.Service("cart", "", "")
}

// keepOne remembers a span that ended then, of a trace of its own unless id is given.
func keepOne(k *keeper, r *keptRing, id trace.TraceID, ended int64) {
	if id == (trace.TraceID{}) {
		id = newTraceID()
	}
	at := r.place(k, &id, ended)
	*at = keptSpan{traceID: id, start: ended}
}

// TestKeptMemory holds that what is remembered has its bound, and grows only as long as it is of use.
func TestKeptMemory(t *testing.T) {
	if size := unsafe.Sizeof(keptBlock{}); size > 32<<10 || keptBlocks*32<<10 > 16<<20 {
		t.Errorf("%d blocks of %d bytes", keptBlocks, size)
	}
	const most = 5
	k, r := &keeper{most: most}, &keptRing{}
	second := int64(time.Second)
	for i := range int64(10 * keptInBlock) { // a block in nearly six seconds
		keepOne(k, r, trace.TraceID{}, i*second/100)
	}
	if len(r.blocks) != 2 || k.lost.Load() != 0 {
		t.Errorf("%d blocks for spans that are seldom, %d lost", len(r.blocks), k.lost.Load())
	}
	for i := range int64(3 * most * keptInBlock) { // all at once
		keepOne(k, r, trace.TraceID{}, 1000*second+i)
	}
	if len(r.blocks) != most || k.lost.Load() != 2*most*keptInBlock {
		t.Errorf("%d blocks, %d lost of %d", len(r.blocks), k.lost.Load(), 3*most*keptInBlock)
	}
}

// TestKeptOrder holds that the oldest are forgotten first, whatever was there when the ring grew.
func TestKeptOrder(t *testing.T) {
	const most = 7
	for old := range most {
		k, r := &keeper{most: most}, &keptRing{}
		for range old * keptInBlock {
			keepOne(k, r, trace.TraceID{}, -int64(time.Hour))
		}
		ids := make([]trace.TraceID, 9*keptInBlock)
		for i := range ids {
			ids[i] = newTraceID()
			keepOne(k, r, ids[i], int64(i))
		}
		for i, id := range ids {
			if got, want := len(r.take(nil, &id, int64(len(ids)))), min(1, i/((9-most)*keptInBlock)); got != want {
				t.Fatalf("%d blocks before it: %d spans of the one that was put there at %d, want %d", old, got, i, want)
			}
		}
	}
}

// TestKeptAge holds that spans that ended more than five seconds before are not told any more.
func TestKeptAge(t *testing.T) {
	k, r, id := &keeper{most: 1}, &keptRing{}, trace.TraceID{1}
	second := int64(time.Second)
	keepOne(k, r, id, 1*second)
	keepOne(k, r, id, 3*second)
	keepOne(k, r, trace.TraceID{2}, 3*second)
	if got := r.take(nil, &id, 7*second); len(got) != 1 || got[0].start != 3*second {
		t.Errorf("got %v", got)
	}
	if got := r.take(nil, &id, 7*second); len(got) != 0 {
		t.Errorf("a second time: %v", got)
	}
}

// TestKeeperBudget holds that not all calls are told when all fail, and that those that are not are counted.
func TestKeeperBudget(t *testing.T) {
	tel, s := keeping(t, nil)
	for range 3 * keptBurst {
		var span Span
		span.Serve(s.Serves("/p.S/M"), "", "")
		span.Served(status.Error(codes.Internal, ""), "")
	}
	c := tel.SpanCounts()
	if c.Waiting < keptBurst || c.Waiting > 2*keptBurst || c.Waiting+int64(c.Refused) != 3*keptBurst {
		t.Errorf("%+v of %d", c, 3*keptBurst)
	}
}

// TestKeeperKinds holds which calls are worth it.
func TestKeeperKinds(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Config)
		end    func(s *Service, began time.Time)
		want   int64
	}{
		"well": {nil, func(s *Service, began time.Time) { serve(s, "/p.S/M", began, nil) }, 0},
		"failed": {nil, func(s *Service, began time.Time) {
			serve(s, "/p.S/M", began, status.Error(codes.Unavailable, ""))
		}, 1},
		"the caller's fault": {nil, func(s *Service, began time.Time) {
			serve(s, "/p.S/M", began, status.Error(codes.NotFound, ""))
		}, 0},
		"slow":         {nil, func(s *Service, began time.Time) { serve(s, "/p.S/M", began.Add(-2*time.Second), nil) }, 1},
		"not slow":     {func(c *Config) { c.Slow = time.Minute }, func(s *Service, began time.Time) { serve(s, "/p.S/M", began.Add(-2*time.Second), nil) }, 0},
		"slow is well": {func(c *Config) { c.Slow = -1 }, func(s *Service, began time.Time) { serve(s, "/p.S/M", began.Add(-time.Hour), nil) }, 0},
		"a stream": {nil, func(s *Service, began time.Time) {
			s.Serves("/p.S/M").Streaming()
			serve(s, "/p.S/M", began.Add(-2*time.Second), nil)
		}, 0},
		"nothing is kept":  {func(c *Config) { c.NoKeep = true }, func(s *Service, began time.Time) { serve(s, "/p.S/M", began, status.Error(codes.Internal, "")) }, 0},
		"nothing is taken": {func(c *Config) { c.Sampler = AlwaysOff }, func(s *Service, began time.Time) { serve(s, "/p.S/M", began, status.Error(codes.Internal, "")) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			tel, s := keeping(t, tt.change)
			tt.end(s, time.Now())
			if got := tel.SpanCounts().Waiting; got != tt.want {
				t.Errorf("%d spans are to be sent, want %d", got, tt.want)
			}
		})
	}
}

func serve(s *Service, method string, began time.Time, err error) {
	var span Span
	span.Serve(s.Serves(method), "", "")
	span.start -= int64(time.Since(began))
	span.Served(err, "tcp")
}

// TestKeptTrace holds that a call that failed takes those of its trace with it, before it and after it, and no others.
func TestKeptTrace(t *testing.T) {
	tel, s := keeping(t, nil)
	var other, root, inner, leaf Span
	other.Serve(s.Serves("/p.S/Other"), "", "")
	root.Serve(s.Serves("/p.S/Root"), "", "")
	inner.ServeFor(s.Calls("/p.S/Inner", "x"), &root)
	leaf.ServeFor(s.Serves("/p.S/Leaf"), &root)
	other.Served(nil, "")
	leaf.Served(nil, "")
	if n := tel.SpanCounts().Waiting; n != 0 {
		t.Fatalf("%d spans are to be sent before anything failed", n)
	}
	inner.Served(status.Error(codes.Internal, ""), "")
	if n := tel.SpanCounts().Waiting; n != 2 {
		t.Errorf("%d spans are to be sent after it failed, want 2", n)
	}
	root.Served(nil, "")
	if n := tel.SpanCounts().Waiting; n != 3 {
		t.Errorf("%d spans are to be sent at the end, want 3", n)
	}
}

// TestKeptEverywhere holds that a trace is found whatever processors its spans ended on, and by a span that ends while that is done.
func TestKeptEverywhere(t *testing.T) {
	tel, s := keeping(t, nil)
	tel.cells = make(cells, 7)
	k := newKeeper(tel)
	var root, late Span
	root.Serve(s.Serves("/p.S/Root"), "", "")
	late.ServeFor(s.Serves("/p.S/Late"), &root)
	at := tel.clock.now()
	for i := range k.cells {
		c := &k.cells[i]
		var span Span
		span.ServeFor(s.Serves("/p.S/Inner"), &root)
		if !k.keep(c, &span, &ending{at: at}) {
			t.Fatal("it is sent before anything failed")
		}
	}
	k.decide(&root, &ending{at: at, why: "error"})
	if n := tel.SpanCounts().Waiting; n != int64(len(k.cells))+1 {
		t.Errorf("%d spans are to be sent, want %d", n, len(k.cells)+1)
	}
	if k.keep(&k.cells[0], &late, &ending{at: at}) {
		t.Error("the trace is taken, and its last span is not")
	}
	if after := (&ending{at: at + int64(keptFor)}); !k.keep(&k.cells[0], &late, after) {
		t.Error("a trace is looked for for longer than what is of use")
	}
}

// TestClock holds that spans are told the time that the system has, also when it was set.
func TestClock(t *testing.T) {
	var c clock
	c.init()
	c.wall.Add(-int64(time.Hour))
	if at := c.now(); time.Since(time.Unix(0, c.unix(at))) < time.Minute {
		t.Error("the system is asked each time")
	}
	c.asked.Store(c.now() - int64(askAfter))
	at := c.now()
	if d := time.Since(time.Unix(0, c.unix(at))); d < 0 || d > time.Minute {
		t.Errorf("it is %v behind", d)
	}
}

// TestRatio holds that the share of traces that is taken is the one that was asked for, and that all programs take the same.
func TestRatio(t *testing.T) {
	for _, ratio := range []float64{0.01, 0.25, 0.999} {
		s := newSampling(&Config{Traces: Export{URL: "http://c/"}, Ratio: ratio})
		const n = 100_000
		taken := 0
		for range n {
			id := newTraceID()
			if s.takes(&id, false, false) {
				taken++
			}
			if want := binary.BigEndian.Uint64(id[8:])>>1 < uint64(ratio*(1<<63)); want != s.takes(&id, false, false) {
				t.Fatalf("ratio %v, trace %v: another program decides otherwise", ratio, id)
			}
		}
		if got := float64(taken) / n; got < ratio-0.01 || got > ratio+0.01 {
			t.Errorf("ratio %v: %v were taken", ratio, got)
		}
	}
	id := trace.TraceID{15: 1}
	for _, tt := range []struct {
		sampler                    Sampler
		ratio                      float64
		alone, below, belowSampled bool
	}{
		{ParentBasedRatio, 1, true, false, true}, {ParentBasedRatio, -1, false, false, true},
		{ParentBasedOn, 0, true, false, true}, {ParentBasedOff, 0, false, false, true},
		{AlwaysOn, 0, true, true, true}, {AlwaysOff, 0, false, false, false},
		{Ratio, 1, true, true, true}, {Ratio, -1, false, false, false},
	} {
		s := newSampling(&Config{Traces: Export{URL: "http://c/"}, Sampler: tt.sampler, Ratio: tt.ratio})
		if a, b, c := s.takes(&id, false, false), s.takes(&id, true, false), s.takes(&id, true, true); a != tt.alone || b != tt.below || c != tt.belowSampled {
			t.Errorf("%+v: %t, %t, %t", tt, a, b, c)
		}
	}
}

func TestTraceParent(t *testing.T) {
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for in, ok := range map[string]bool{
		good: true, good + "-": false, good + "0": false, "01" + good[2:]: true, "01" + good[2:] + "-more": true, "01" + good[2:] + "more": false,
		"ff" + good[2:]: false, "0g" + good[2:]: false, good[:54]: false, "": false,
		"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01": false,
		"00-00000000000000000000000000000000-b7ad6b7169203331-01": false,
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01": false,
		"00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01": false,
	} {
		var p parent
		if got := p.parse(in); got != ok {
			t.Errorf("%q: %t", in, got)
		} else if ok && (!p.flags.IsSampled() || string(appendTraceParent(nil, &p.trace, &p.span, p.flags)) != good) {
			t.Errorf("%q: %+v", in, p)
		}
	}
	if !Found() {
		t.Error("this release of OpenTelemetry keeps spans in another way")
	}
}

// TestEightDigits holds that only small letters and digits are taken, wherever they are.
func TestEightDigits(t *testing.T) {
	for at := range 8 {
		for c := range 256 {
			b := []byte("12ab90fe")
			b[at] = byte(c)
			got, ok := eightDigits(string(b))
			var want [4]byte
			_, err := hex.Decode(want[:], b)
			if capital := 'A' <= c && c <= 'F'; ok != (err == nil && !capital) {
				t.Errorf("%q: %t", b, ok)
			} else if ok && got != binary.LittleEndian.Uint32(want[:]) {
				t.Errorf("%q: %x", b, got)
			}
		}
	}
}

// FuzzTraceParent holds that what is read can be written, and read again.
func FuzzTraceParent(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Fuzz(func(t *testing.T, in string) {
		var p, again parent
		if !p.parse(in) {
			return
		}
		if !again.parse(string(appendTraceParent(nil, &p.trace, &p.span, p.flags))) || again != p {
			t.Errorf("%q: %+v, %+v", in, p, again)
		}
	})
}
