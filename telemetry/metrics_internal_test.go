package telemetry

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/hanse-go/hanse/internal/otlp"
	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/grpc/codes"
)

// service makes one that has nothing but what a test gives it.
func service(t *testing.T, c Config) *Service {
	t.Helper()
	all, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return all.Service("cart", "v1", "i1")
}

func shown() *reading { return &reading{shown: true, explicit: true, at: time.Now()} }

// find finds one by its name.
func find(t *testing.T, all []otlp.Metric, name string) otlp.Metric {
	t.Helper()
	i := slices.IndexFunc(all, func(m otlp.Metric) bool { return m.Name == name })
	if i < 0 {
		t.Fatalf("no %s", name)
	}
	return all[i]
}

// count counts a call that took so long.
func (m *Method) count(took time.Duration, code codes.Code) {
	sample := *sampled
	sample.took, sample.at = took, time.Now().UnixNano()
	m.calls.of(code, took, m.service.telemetry.cells).record(took, &sample)
}

func TestCallMetrics(t *testing.T) {
	s := service(t, Config{})
	add := s.Serves("/shop.v1.Cart/Add")
	add.count(time.Second, codes.OK) // a bound belongs to the bucket below it
	add.count(3*time.Second, codes.OK)
	add.count(1500*time.Millisecond, codes.NotFound)
	s.Calls("/shop.v1.Catalog/Get", "catalog").count(time.Minute, codes.NotFound)

	want := map[string][]attribute.KeyValue{
		"OK":        {attribute.String("rpc.system.name", "grpc"), attribute.String("rpc.method", "shop.v1.Cart/Add"), attribute.String("rpc.response.status_code", "OK")},
		"NOT_FOUND": {attribute.String("rpc.system.name", "grpc"), attribute.String("rpc.method", "shop.v1.Cart/Add"), attribute.String("rpc.response.status_code", "NOT_FOUND")},
		"client": {attribute.String("rpc.system.name", "grpc"), attribute.String("rpc.method", "shop.v1.Catalog/Get"), attribute.String("rpc.response.status_code", "NOT_FOUND"),
			attribute.String("error.type", "NOT_FOUND"), attribute.String("server.address", "catalog")},
	}
	all := s.callMetrics(shown())
	server, client := find(t, all, "rpc.server.call.duration"), find(t, all, "rpc.client.call.duration")
	if len(server.Histograms) != 2 || len(client.Histograms) != 1 {
		t.Fatalf("got %d and %d points", len(server.Histograms), len(client.Histograms))
	}
	ok, missing, made := server.Histograms[0], server.Histograms[1], client.Histograms[0]
	if !slices.Equal(ok.Attributes, want["OK"]) || !slices.Equal(missing.Attributes, want["NOT_FOUND"]) || !slices.Equal(made.Attributes, want["client"]) {
		t.Errorf("attributes: %v, %v, %v", ok.Attributes, missing.Attributes, made.Attributes)
	}
	if ok.Count != 2 || ok.Sum != 4 || ok.Buckets[-leastBound] != 1 || ok.Buckets[-leastBound+2] != 1 {
		t.Errorf("two calls of 1 s and 3 s: %+v", ok)
	}
	if made.Buckets[len(made.Buckets)-1] != 1 || made.Sum != 60 {
		t.Errorf("a call of a minute: %+v", made)
	}
	if len(ok.Exemplars) != 2 || ok.Exemplars[0].TraceID != sampled.traceID || ok.Exemplars[1].Float != 3 {
		t.Errorf("exemplars: %+v", ok.Exemplars)
	}

	// The same, as it is sent.
	r := newReading(&Config{})
	r.last = time.Time{}
	p := find(t, s.callMetrics(r), "rpc.server.call.duration").Exponentials[0]
	if p.Scale != 3 || p.Positive.Offset != -1 || len(p.Positive.Counts) != 14 || p.Positive.Counts[0] != 1 || p.Positive.Counts[13] != 1 || p.Count != 2 {
		t.Errorf("two calls of 1 s and 3 s: %+v", p)
	}
}

// TestExponential holds that each duration is within the bounds of its bucket, whatever the scale, and that none is lost.
func TestExponential(t *testing.T) {
	for _, ends := range [][2]time.Duration{{time.Microsecond, 2 * time.Microsecond}, {1, math.MaxInt64}, {time.Millisecond, 16 * time.Minute}, {time.Millisecond, 18 * time.Minute}, {time.Second, time.Second}} {
		var c tally
		for _, d := range ends {
			c.add(d, sampled)
		}
		var all totals
		all.add(&c)
		p := all.exponential()
		n := len(p.Positive.Counts)
		if n > maxExponential || p.Positive.Counts[0] == 0 || p.Positive.Counts[n-1] == 0 {
			t.Errorf("%v: %+v", ends, p)
		}
		bound := func(i int) float64 { return math.Exp2(float64(int(p.Positive.Offset)+i) / math.Exp2(float64(p.Scale))) }
		least, most := max(ends[0].Seconds(), 1e-6), min(ends[1].Seconds(), 65536)
		if bound(0) >= least || bound(1) < least || bound(n-1) >= most || bound(n) < most {
			t.Errorf("%v: the first bucket goes from %v to %v, the last from %v to %v", ends, bound(0), bound(1), bound(n-1), bound(n))
		}
		sum := uint64(0)
		for _, n := range p.Positive.Counts {
			sum += n
		}
		if sum != 2 || p.Count != 2 {
			t.Errorf("%v: %+v", ends, p)
		}
	}
}

// TestDelta holds that the second reading has only what came after the first.
func TestDelta(t *testing.T) {
	c := Config{MetricTemporality: Delta}
	s := service(t, c)
	add := s.Serves("/s/Add")
	r := newReading(&c)
	read := func() []otlp.Metric {
		r.next(time.Now())
		all := s.callMetrics(r)
		return append(append(all, runtimeMetrics(r)...), processMetrics(r)...)
	}
	add.count(time.Second, codes.OK)
	add.count(time.Second, codes.OK)
	first := read()
	if p := find(t, first, "rpc.server.call.duration").Exponentials[0]; p.Count != 2 {
		t.Errorf("got %+v", p)
	}
	add.count(time.Second, codes.OK)
	second := read()
	m := find(t, second, "rpc.server.call.duration")
	if p := m.Exponentials[0]; p.Count != 1 || p.Sum != 1 || p.Start != r.last.UnixNano() || m.Temporality != otlp.Delta {
		t.Errorf("got %+v", m)
	}
	a, b := find(t, first, "go.memory.allocated").Numbers[0], find(t, second, "go.memory.allocated").Numbers[0]
	if b.Int >= a.Int || b.Start != r.last.UnixNano() {
		t.Errorf("allocated %+v, then %+v", a, b)
	}
	for _, m := range second {
		if m.Kind == otlp.Histogram && m.Temporality != otlp.Delta {
			t.Errorf("%s is not delta", m.Name)
		}
	}
	if third := read(); slices.ContainsFunc(third, func(m otlp.Metric) bool { return m.Name == "rpc.server.call.duration" }) {
		t.Error("a point without calls")
	}
}

// TestCells holds that nothing is lost among the cells.
func TestCells(t *testing.T) {
	var c calls
	all := make(cells, 3)
	done := make(chan struct{})
	for range 4 {
		go func() {
			for range 1000 {
				c.of(codes.OK, 0, all).record(time.Millisecond, sampled)
			}
			done <- struct{}{}
		}()
	}
	for range 4 {
		<-done
	}
	c.of(codes.OK, 0, all).recordIn(2, time.Second, nil)
	var sum totals
	c.byCode[codes.OK].Load().totals(&sum)
	if sum.count != 4001 || sum.sum != 5*time.Second {
		t.Errorf("%d calls, %v", sum.count, sum.sum)
	}
	c.of(99, 0, all).record(0, sampled)
	if c.byCode[len(c.byCode)-1].Load() == nil {
		t.Error("a code that there is not is not counted")
	}
}

// TestRecordAllocations holds that counting a call allocates nothing.
func TestRecordAllocations(t *testing.T) {
	s := newSeries(time.Now(), newCells())
	for range 20 { // of each processor
		s.record(time.Millisecond, sampled)
	}
	n := testing.AllocsPerRun(1000, func() { s.record(time.Millisecond, sampled) })
	if n > 0 && !raceEnabled { // with the race detector a sync.Pool forgets on purpose
		t.Errorf("%v allocations", n)
	}
}

// Streams are told apart, from the first on, and it is told how many have not ended.
func TestStreams(t *testing.T) {
	s := service(t, Config{})
	watch, follow := s.Serves("/shop.v1.Orders/Watch").Streaming(), s.Calls("/shop.v1.Orders/Watch", "orders")
	var one, two, unary Span
	one.Serve(watch, "", "")
	one.Streams() // once more is the same
	two.Serve(watch, "", "")
	unary.Serve(s.Serves("/shop.v1.Orders/Get"), "", "")
	call := follow.Begin(t.Context())
	call.Span.Streams()
	two.Served(nil, "tcp")
	two.Served(nil, "tcp")
	unary.Served(nil, "tcp")

	stream := attribute.Bool("hanse.rpc.stream", true)
	open := func(name string) int64 {
		t.Helper()
		m := find(t, s.callMetrics(shown()), name)
		if len(m.Numbers) != 1 || m.Monotonic {
			t.Fatalf("%+v", m)
		}
		return m.Numbers[0].Int
	}
	if n := open("hanse.rpc.server.open_streams"); n != 1 {
		t.Errorf("%d streams are open", n)
	}
	if n := open("hanse.rpc.client.open_streams"); n != 1 {
		t.Errorf("%d streams of the client are open", n)
	}
	call.End(nil)
	one.Served(nil, "tcp")
	if n := open("hanse.rpc.server.open_streams") + open("hanse.rpc.client.open_streams"); n != 0 {
		t.Errorf("%d streams are open, and all have ended", n)
	}
	all := s.callMetrics(shown())
	for _, p := range find(t, all, "rpc.server.call.duration").Histograms {
		method := p.Attributes[slices.IndexFunc(p.Attributes, func(a attribute.KeyValue) bool { return a.Key == "rpc.method" })].Value.AsString()
		if is := slices.Contains(p.Attributes, stream); is != (method == "shop.v1.Orders/Watch") {
			t.Errorf("%s is a stream: %v", method, is)
		}
	}
	if made := find(t, all, "rpc.client.call.duration").Histograms; !slices.Contains(made[0].Attributes, stream) {
		t.Errorf("%v", made[0].Attributes)
	}
	if attrs := follow.endAttributes(nil, codes.OK, nil, 0); !slices.Contains(attrs, stream) {
		t.Errorf("the span has %v", attrs)
	}
}
