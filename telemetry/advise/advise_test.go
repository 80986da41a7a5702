package advise_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/telemetry/advise"
	"github.com/hanse-go/hanse/telemetry/collector"
)

// request makes the trace of a request: a tree of operations on one clock that stands still between calls.
type request struct {
	spans []collector.Span
	now   time.Time
	net   time.Duration // that each call spends on the way
	attrs []collector.Attr
	scope string
	skew  map[string]time.Duration // of the clocks of services
}

func newRequest() *request {
	return &request{now: time.Unix(1_800_000_000, 0), net: 200 * time.Microsecond, scope: "github.com/hanse-go/hanse/rpc"}
}

func (r *request) id() string { return fmt.Sprintf("%016x", len(r.spans)+1) }

// op is what a service does: it works for that long, and f makes its calls.
func (r *request) op(service, name, kind, parent string, work time.Duration, f func(self string)) string {
	id, at := r.id(), len(r.spans)
	r.spans = append(r.spans, collector.Span{SpanID: id, ParentID: parent, Service: service, Name: name, Kind: kind, Start: r.now.Add(r.skew[service]), Scope: r.scope})
	begin := r.now
	r.now = r.now.Add(work)
	if f != nil {
		f(id)
	}
	r.spans[at].Duration = r.now.Sub(begin)
	return id
}

// call is a call by an operation of a service.
func (r *request) call(from, parent, to, method string, work time.Duration, f func(self string)) {
	id, at := r.id(), len(r.spans)
	r.spans = append(r.spans, collector.Span{SpanID: id, ParentID: parent, Service: from, Name: method, Kind: "client", Start: r.now.Add(r.skew[from]), Scope: r.scope, Attrs: r.attrs})
	begin := r.now
	r.now = r.now.Add(r.net / 2)
	r.op(to, method, "server", id, work, f)
	r.now = r.now.Add(r.net - r.net/2)
	r.spans[at].Duration = r.now.Sub(begin)
}

func (r *request) trace() collector.Trace {
	t := collector.Trace{TraceID: fmt.Sprintf("%032x", 7), Start: time.Unix(1_800_000_000, 0), Spans: r.spans}
	t.Duration = r.now.Sub(t.Start)
	return t
}

const ms = time.Millisecond

// page is GET / of a storefront.
func page(f func(r *request, self string)) collector.Trace {
	r := newRequest()
	r.op("storefront", "GET /", "server", "", ms, func(self string) { f(r, self) })
	return r.trace()
}

func report(traces ...collector.Trace) advise.Report {
	var a advise.Advisor
	for _, t := range traces {
		a.Add(t)
	}
	return a.Report()
}

// TestFindings holds what is found and what is not.
func TestFindings(t *testing.T) {
	get := func(r *request, self string, n int) {
		for range n {
			r.call("storefront", self, "catalog", "catalog.Catalog/GetProduct", ms, nil)
		}
	}
	for _, tt := range []struct {
		name  string
		trace collector.Trace
		want  string // kind and flag of each
	}{
		{"a clean page", page(func(r *request, self string) {
			get(r, self, 2)
			r.call("storefront", self, "cart", "cart.Cart/Get", ms, nil)
		}), ""},
		{"four of a kind", page(func(r *request, self string) { get(r, self, 4) }), ""},
		{"n+1", page(func(r *request, self string) { get(r, self, 5) }), "n+1 --services=catalog,storefront\n"},
		{"n+1 at the same time", page(func(r *request, self string) {
			at := r.now
			for range 30 {
				r.now = at
				get(r, self, 1)
			}
		}), "chatty --services=catalog,storefront\n"},
		{"n+1 in different operations", page(func(r *request, self string) {
			for i := range 5 {
				r.call("storefront", self, "cart", fmt.Sprint("cart.Cart/", i), ms, func(self string) {
					r.call("cart", self, "catalog", "catalog.Catalog/GetProduct", ms, nil)
				})
			}
		}), ""},
		{"n+1 of an internal span", page(func(r *request, self string) {
			r.op("storefront", "render", "internal", self, ms, func(self string) { get(r, self, 3) })
			r.op("storefront", "render", "internal", self, ms, func(self string) { get(r, self, 3) })
		}), "n+1 --services=catalog,storefront\n"},
		{"a database is asked again and again", page(func(r *request, self string) {
			r.attrs = []collector.Attr{{Key: "db.system.name", Value: "sqlite"}}
			get(r, self, 9)
		}), ""},
		{"a cycle", page(func(r *request, self string) {
			r.call("storefront", self, "orders", "orders.Orders/Place", ms, func(self string) {
				r.call("orders", self, "payment", "payment.Payment/Charge", ms, func(self string) {
					r.call("payment", self, "orders", "orders.Orders/Get", ms, nil)
				})
			})
		}), "cycle --services=orders,payment\n"},
		{"a longer cycle", page(func(r *request, self string) {
			r.call("storefront", self, "c", "C/C", ms, func(self string) {
				r.call("c", self, "a", "A/A", ms, func(self string) {
					r.call("a", self, "b", "B/B", ms, func(self string) {
						r.call("b", self, "c", "C/D", ms, nil)
					})
				})
			})
		}), "cycle --services=a,b,c\n"},
		{"a cycle by an event", page(func(r *request, self string) {
			r.call("storefront", self, "orders", "orders.Orders/Place", ms, func(self string) {
				r.op("orders", "publish", "producer", self, ms, func(self string) {
					r.op("mail", "handle", "consumer", self, ms, func(self string) {
						r.call("mail", self, "orders", "orders.Orders/Get", ms, nil)
					})
				})
			})
		}), ""},
		{"a service calls itself", page(func(r *request, self string) {
			r.call("storefront", self, "storefront", "S/Self", ms, nil)
		}), ""},
		{"a chain", page(func(r *request, self string) {
			r.call("storefront", self, "a", "A/A", ms, func(self string) {
				r.call("a", self, "b", "B/B", ms, func(self string) {
					r.call("b", self, "c", "C/C", ms, func(self string) {
						r.call("c", self, "d", "D/D", ms, nil)
					})
				})
			})
		}), "chain --services=a,b,c,d,storefront\n"},
		{"a chain that nobody waits for", page(func(r *request, self string) {
			at := r.now
			r.call("storefront", self, "a", "A/A", ms, func(self string) {
				r.call("a", self, "b", "B/B", ms, func(self string) {
					r.call("b", self, "c", "C/C", ms, func(self string) {
						r.call("c", self, "d", "D/D", ms, nil)
					})
				})
			})
			r.now = at
			r.call("storefront", self, "e", "E/E", 100*ms, nil)
		}), ""},
		{"calls that have only their trace in common", func() collector.Trace {
			r := newRequest()
			for range 9 {
				r.call("loader", "0000", "catalog", "catalog.Catalog/GetProduct", ms, nil)
			}
			return r.trace()
		}(), "chatty --services=catalog,loader\n"},
		{"a chain that is a link shorter", page(func(r *request, self string) {
			r.call("storefront", self, "a", "A/A", ms, func(self string) {
				r.call("a", self, "b", "B/B", ms, func(self string) {
					r.call("b", self, "c", "C/C", ms, nil)
				})
			})
		}), ""},
		{"many calls of different kinds", page(func(r *request, self string) {
			for i := range 6 {
				r.call("storefront", self, "cart", fmt.Sprint("cart.Cart/", i), ms, nil)
			}
		}), "chatty --services=cart,storefront\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			for _, f := range report(tt.trace).Findings {
				got += f.Kind + " " + f.Flag + "\n"
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			shuffled := tt.trace
			shuffled.Spans = slices.Clone(tt.trace.Spans)
			rand.Shuffle(len(shuffled.Spans), func(i, j int) {
				shuffled.Spans[i], shuffled.Spans[j] = shuffled.Spans[j], shuffled.Spans[i]
			})
			one, _ := json.Marshal(report(tt.trace))
			if two, _ := json.Marshal(report(shuffled)); string(one) != string(two) {
				t.Errorf("in another order:\n%s\n%s", one, two)
			}
		})
	}
}

// TestSaving holds how much would be saved: what is on the critical path, and nothing else.
// TestByChance: what is made at the same time may once come one by one, on a machine that is busy. That is no finding; what is made so as a
// rule is one, even if some of it is not.
func TestByChance(t *testing.T) {
	calls := func(together bool) collector.Trace {
		return page(func(r *request, self string) {
			at := r.now
			for range 8 {
				if together {
					r.now = at
				}
				r.call("storefront", self, "catalog", "catalog.Catalog/GetProduct", ms, nil)
			}
		})
	}
	for _, tt := range []struct {
		name   string
		traces []collector.Trace
		want   string
	}{
		{"once", []collector.Trace{calls(true), calls(false), calls(true)}, advise.Chatty},
		{"half", []collector.Trace{calls(true), calls(false)}, advise.Chatty},
		{"mostly", []collector.Trace{calls(false), calls(true), calls(false)}, advise.Repeats},
	} {
		if list := report(tt.traces...).Findings; len(list) != 1 || list[0].Kind != tt.want {
			t.Errorf("%s: %+v, want %s", tt.name, list, tt.want)
		}
	}
}

func TestSaving(t *testing.T) {
	const less = 4 * time.Microsecond // a call in one process takes that
	five := func(r *request, self string, work time.Duration) {
		for range 5 {
			r.call("storefront", self, "catalog", "catalog.Catalog/GetProduct", work, nil)
		}
	}
	t.Run("one after the other", func(t *testing.T) {
		f := report(page(func(r *request, self string) { five(r, self, ms) })).Findings[0]
		want := 5 * (200*time.Microsecond - less)
		if f.Saving.Time != want || f.Calls != 5 || f.Requests != 1 {
			t.Errorf("%+v, want %v", f, want)
		}
		if whole := 7 * ms; f.Saving.Share != float64(want)/float64(whole) {
			t.Errorf("share %v", f.Saving.Share)
		}
		one, in := advise.CallCPU(advise.TCP), advise.CallCPU(advise.InProcess)
		if f.Saving.CPU.Busy != 5*(one.Busy-in.Busy) || f.Saving.CPU.Idle != 5*(one.Idle-in.Idle) || f.Saving.CPU.Busy <= 0 {
			t.Errorf("cpu %+v", f.Saving.CPU)
		}
		if f.Spent != "4.8 ms" || !strings.Contains(f.Title, "5 times for one GET /, one after the other") {
			t.Errorf("%+v", f)
		}
	})
	t.Run("beside something longer", func(t *testing.T) {
		f := report(page(func(r *request, self string) {
			at := r.now
			five(r, self, ms)
			r.now = at
			r.call("storefront", self, "cart", "cart.Cart/Get", 50*ms, nil)
		})).Findings[0]
		if f.Saving.Time != 0 || f.Saving.CPU.Busy == 0 {
			t.Errorf("%+v", f.Saving)
		}
	})
	t.Run("clocks that differ", func(t *testing.T) {
		for _, skew := range []time.Duration{-time.Hour, -ms, ms, time.Hour} {
			r := newRequest()
			r.skew = map[string]time.Duration{"storefront": skew}
			r.call("gate", "", "storefront", "Front/Page", ms, func(self string) { five(r, self, ms) })
			if f := report(r.trace()).Findings[0]; f.Saving.Time != 5*(200*time.Microsecond-less) {
				t.Errorf("%v: %+v", skew, f.Saving)
			}
		}
	})
	t.Run("over a unix socket", func(t *testing.T) {
		f := report(page(func(r *request, self string) {
			r.attrs = []collector.Attr{{Key: "hanse.path", Value: "unix"}}
			five(r, self, ms)
		})).Findings[0]
		if f.Saving.CPU.Busy != 5*(advise.CallCPU(advise.Unix).Busy-advise.CallCPU(advise.InProcess).Busy) {
			t.Errorf("%+v", f.Saving)
		}
	})
	t.Run("in one process already", func(t *testing.T) {
		f := report(page(func(r *request, self string) {
			r.attrs = []collector.Attr{{Key: "hanse.path", Value: "inprocess"}}
			five(r, self, ms)
		})).Findings[0]
		if f.Saving != (advise.Saving{}) || f.Flag != "" || f.Why != "they run in one process already" || f.Calls != 5 {
			t.Errorf("%+v", f)
		}
	})
	t.Run("after an answer that nobody waits for", func(t *testing.T) {
		f := report(page(func(r *request, self string) {
			at := r.now
			r.op("mail", "handle", "consumer", self, 50*ms, func(self string) {
				for range 5 {
					r.call("mail", self, "catalog", "catalog.Catalog/GetProduct", ms, nil)
				}
			})
			r.now = at.Add(60 * ms)
		})).Findings[0]
		if f.Saving.Time != 0 || f.Saving.CPU.Busy == 0 {
			t.Errorf("%+v", f.Saving)
		}
	})
	t.Run("the median of requests", func(t *testing.T) {
		var traces []collector.Trace
		for _, n := range []time.Duration{ms, 2 * ms, 90 * ms} {
			traces = append(traces, page(func(r *request, self string) { r.net = n; five(r, self, ms) }))
		}
		f := report(traces...).Findings[0]
		if f.Saving.Time != 5*(2*ms-less) || f.Requests != 3 {
			t.Errorf("%+v", f)
		}
	})
}

// TestOneCycle holds that a circle is one, wherever requests enter it.
func TestOneCycle(t *testing.T) {
	enter := func(a, b string) collector.Trace {
		return page(func(r *request, self string) {
			r.call("storefront", self, a, "X/X", ms, func(self string) {
				r.call(a, self, b, "Y/Y", ms, func(self string) {
					r.call(b, self, a, "Z/Z", ms, nil)
				})
			})
		})
	}
	r := report(enter("stock", "orders"), enter("orders", "stock"))
	if len(r.Findings) != 1 || r.Findings[0].Requests != 2 || strings.Join(r.Findings[0].Path, " ") != "orders stock orders" {
		t.Errorf("%+v", r.Findings)
	}
}

// TestForeign holds that no flag is given for what a flag cannot do.
func TestForeign(t *testing.T) {
	for _, tt := range []struct {
		name string
		f    func(s *collector.Span)
		want string
	}{
		{"another language", func(s *collector.Span) {
			s.Resource = []collector.Attr{{Key: "telemetry.sdk.language", Value: "nodejs"}}
		}, "catalog is not written in Go (nodejs)"},
		{"another library", func(s *collector.Span) { s.Scope = "otelgrpc" }, "catalog is not a service of Hanse"},
	} {
		trace := page(func(r *request, self string) {
			for range 5 {
				r.call("storefront", self, "catalog", "catalog.Catalog/GetProduct", ms, nil)
			}
		})
		for i := range trace.Spans {
			if trace.Spans[i].Service == "catalog" {
				tt.f(&trace.Spans[i])
			}
		}
		if f := report(trace).Findings[0]; f.Flag != "" || f.Why != tt.want {
			t.Errorf("%s: %q %q", tt.name, f.Flag, f.Why)
		}
	}
	silent := page(func(r *request, self string) {
		for range 5 {
			r.call("storefront", self, "catalog", "catalog.Catalog/GetProduct", ms, nil)
		}
	})
	silent.Spans = slices.DeleteFunc(silent.Spans, func(s collector.Span) bool { return s.Service == "catalog" })
	r := report(silent)
	if f := r.Findings[0]; f.Kind != advise.Repeats || f.Flag != "" || f.Saving.Time != 0 || r.OneSided != 5 {
		t.Errorf("%+v", r)
	}
}

// TestAnything holds, over random traces, also such as no sound program makes, that nothing is saved that did not last, and that
// nothing runs for ever.
func TestAnything(t *testing.T) {
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		n := 1 + rnd.IntN(40)
		trace := collector.Trace{TraceID: "t", Start: time.Unix(0, 0), Duration: time.Second}
		for i := range n {
			s := collector.Span{SpanID: strconv.Itoa(i), Service: string(rune('a' + rnd.IntN(4))), Name: string(rune('m' + rnd.IntN(3))), Scope: "github.com/hanse-go/hanse"}
			s.ParentID = strconv.Itoa(rnd.IntN(n + 1))
			s.Kind = []string{"client", "server", "internal", "producer", "consumer"}[rnd.IntN(5)]
			s.Start = trace.Start.Add(time.Duration(rnd.IntN(1e9)))
			s.Duration = time.Duration(rnd.IntN(1e8))
			trace.Spans = append(trace.Spans, s)
		}
		r := report(trace, trace)
		for _, f := range r.Findings {
			if f.Saving.Time < 0 || f.Saving.Time > time.Duration(n)*time.Second || f.Saving.Share < 0 || f.Saving.Share > 1 || f.Requests != 2 && f.Requests != 1 {
				t.Errorf("seed %d: %+v", seed, f)
			}
		}
	}
	if r := report(); len(r.Findings) != 0 || r.Requests != 0 || r.Pairs == nil {
		t.Errorf("%+v", r)
	}
}

// TestPairs holds who is said to talk most.
func TestPairs(t *testing.T) {
	r := report(page(func(r *request, self string) {
		r.call("storefront", self, "cart", "cart.Cart/Get", ms, nil)
		r.call("storefront", self, "catalog", "catalog.Catalog/List", ms, nil)
		r.call("storefront", self, "catalog", "catalog.Catalog/Get", ms, nil)
	}), page(func(r *request, self string) {
		r.call("storefront", self, "cart", "cart.Cart/Get", ms, nil)
	}))
	got := ""
	for _, p := range r.Pairs {
		got += fmt.Sprintf("%s-%s %v in %d; ", p.From, p.To, p.Calls, p.Requests)
	}
	if want := "storefront-catalog 2 in 1; storefront-cart 1 in 2; "; got != want || r.Calls != 4 || r.Requests != 2 {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestSource holds the figures of CPU to the table that they are said to be from: it is measured anew at times, on a machine that is
// never the same, so by a factor of two.
func TestSource(t *testing.T) {
	doc, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	tables := strings.Split(string(doc), "\n\n")
	read := func(row string) float64 {
		for i, table := range tables {
			if i == 0 || !strings.HasPrefix(tables[i-1], "CPU for one, client + server in µs") {
				continue
			}
			if m := regexp.MustCompile(`(?m)^\| ` + row + ` \| ([0-9.]+) `).FindStringSubmatch(table); m != nil {
				f, _ := strconv.ParseFloat(m[1], 64)
				return f
			}
		}
		t.Fatalf("docs/benchmarks.md has no CPU of %s", row)
		return 0
	}
	for _, p := range []advise.Path{advise.InProcess, advise.Unix, advise.TCP} {
		cost := advise.CallCPU(p)
		for row, have := range map[string]time.Duration{"unary/" + string(p) + "/1KiB/c64": cost.Busy, "unary/" + string(p) + "/1KiB/c1": cost.Idle} {
			want := read(row)
			if us := have.Seconds() * 1e6; us > 2*want || us < want/2 {
				t.Errorf("%s takes %v µs, and %v is reckoned with", row, want, have)
			}
		}
	}
}
