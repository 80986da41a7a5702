package waterfall_test

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/hanse-go/hanse/cmd/hanse/internal/waterfall"
	"github.com/hanse-go/hanse/telemetry/collector"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC // the day and the time of the trace are shown
	goleak.VerifyTestMain(m)
}

var update = flag.Bool("update", false, "make the golden files anew")

const (
	us = time.Microsecond
	ms = time.Millisecond
)

var zero = time.Date(2026, 1, 31, 12, 0, 0, 5e6, time.UTC)

// span is one of a trace that is written down by depths, which suffice to tell the parents.
func span(depth int, service, kind, name string, start, d time.Duration, more ...func(*collector.Span)) collector.Span {
	s := collector.Span{Depth: depth, Service: service, Kind: kind, Name: name, Start: zero.Add(start), Duration: d}
	for _, m := range more {
		m(&s)
	}
	return s
}

func critical(s *collector.Span) { s.Critical = true }
func gap(s *collector.Span)      { s.Gap, s.Service, s.Name = true, "", "" }

func failed(code, message string) func(*collector.Span) {
	return func(s *collector.Span) {
		s.Status, s.Message = "error", message
		s.Attrs = append(s.Attrs, collector.Attr{Key: "rpc.response.status_code", Value: code})
	}
}

// refused is the status of a call that its caller got wrong.
func refused(code, message string) func(*collector.Span) {
	return func(s *collector.Span) { s.Status, s.Code, s.Message = "refused", code, message }
}

// asking is a request of which the server did what it should, and said no.
func asking() *collector.Trace {
	return traceOf(
		span(0, "front", "server", "a.Front/Get", 0, 10*ms, critical, refused("FAILED_PRECONDITION", "")),
		span(1, "front", "client", "a.Back/Get", 0, 5*ms, critical, refused("NOT_FOUND", "no such thing")),
		span(2, "back", "server", "a.Back/Get", ms, 3*ms, critical, refused("NOT_FOUND", "no such thing")),
	)
}

func traceOf(spans ...collector.Span) *collector.Trace {
	t := &collector.Trace{TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", Start: zero, Spans: spans}
	above := []int{}
	known := map[string]bool{}
	for i := range spans {
		s := &spans[i]
		s.SpanID, s.TraceID, s.Parent = fmt.Sprintf("%016x", i+1), t.TraceID, -1
		above = append(above[:s.Depth], i)
		if s.Depth > 0 {
			s.Parent = above[s.Depth-1]
		}
		t.Duration = max(t.Duration, s.Start.Add(s.Duration).Sub(zero))
		if s.Gap {
			t.Gaps++
			continue
		}
		if s.Status == "error" {
			t.Errors++
		}
		if !known[s.Service] {
			known[s.Service] = true
			t.Services = append(t.Services, collector.TraceService{Name: s.Service})
		}
	}
	return t
}

// order is a request in which a card is declined after a retry, and what an event led to.
func order() *collector.Trace {
	t := traceOf(
		span(0, "storefront", "client", "shop.checkout.v1.Checkout/PlaceOrder", 0, 90*ms, critical, failed("FAILED_PRECONDITION", "the bank declined the card")),
		span(1, "checkout", "server", "shop.checkout.v1.Checkout/PlaceOrder", 2*ms, 86*ms, critical),
		span(2, "checkout", "client", "shop.catalog.v1.Catalog/BatchGetProductsOfAVeryLongName", 3*ms, 20*ms),
		span(3, "catalog", "server", "shop.catalog.v1.Catalog/BatchGetProductsOfAVeryLongName", 4*ms, 250*us),
		span(2, "checkout", "client", "shop.payment.v1.Payments/Charge", 25*ms, 60*ms, critical, failed("FAILED_PRECONDITION", "the bank declined the card")),
		span(3, "payment", "server", "shop.payment.v1.Payments/Charge", 30*ms, 50*ms, critical),
		span(4, "payment", "client", "SELECT payments", 31*ms, 999*us, critical),
		span(2, "checkout", "producer", "publish orders.cancelled", 86*ms, ms, critical),
		span(0, "", "", "", 95*ms, 5*ms, gap),
		span(1, "größe", "consumer", "process orders.cancelled", 95*ms, 4*ms, failed("", "panic:\nno such mail\x1b[2J")),
		span(1, "email", "internal", "GET /mails/{id}", 99*ms, 0),
	)
	t.Spans[4].Events = []collector.SpanEvent{
		{Time: zero.Add(26 * ms), Name: "hanse.retry-failed", Attrs: []collector.Attr{{Key: "status", Value: "UNAVAILABLE"}}},
		{Time: zero.Add(26 * ms), Name: "hanse.request", Attrs: []collector.Attr{{Key: "hanse.message.body", Value: "{}"}}},
	}
	return t
}

var lines = []collector.Log{
	{ID: "1", Time: zero.Add(40 * ms), Service: "payment", Instance: "1", Level: "WARN", Message: "the bank said no", SpanID: fmt.Sprintf("%016x", 6), TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
		Attrs: []collector.Attr{{Key: "order", Value: "6MT7-YDB7-F9VT"}, {Key: "reason", Value: "the bank declined the card, and it did so with words enough to fill a line"}}},
	{ID: "2", Time: zero.Add(25500 * us), Service: "checkout", Level: "INFO", Message: "charging", SpanID: fmt.Sprintf("%016x", 5)},
	{ID: "3", Time: zero.Add(50 * ms), Service: "audit", Level: "INFO", Message: "nobody knows my span", SpanID: "00000000000000ff"},
}

// running is a request that began with a stream that is open, and has a gap besides.
func running() *collector.Trace {
	t := traceOf(
		span(0, "", "", "", 0, 9*ms, gap),
		span(1, "front", "client", "a.Back/Get", 0, 5*ms),
		span(1, "", "", "", 6*ms, 3*ms, gap),
		span(2, "back", "server", "a.Back/Get", 6*ms, 3*ms),
	)
	t.Running, t.Spans[0].Running = true, true
	return t
}

// wide is a request with n calls, of which each seventh is slow and the last fails.
func wide(n int) *collector.Trace {
	spans := []collector.Span{span(0, "front", "server", "a.Front/List", 0, time.Duration(n)*ms, critical)}
	for i := range n - 1 {
		s := span(1, "front", "client", "a.Back/Get", time.Duration(i)*ms, 500*us)
		if i%7 == 3 {
			s.Duration = 900*us + time.Duration(i)
		}
		spans = append(spans, s)
	}
	failed("NOT_FOUND", "no such thing")(&spans[n-1])
	return traceOf(spans...)
}

// failing is a request in which more fails than is shown, at two levels, and something is said in a span that is not shown.
func failing() *collector.Trace {
	t := traceOf(
		span(0, "front", "server", "a.Front/List", 0, 10*ms, critical),
		span(1, "front", "client", "a.Back/Get", 0, 5*ms, failed("NOT_FOUND", "no such thing")),
		span(2, "back", "server", "a.Back/Get", ms, 3*ms, failed("NOT_FOUND", "no such thing")),
		span(2, "back", "client", "SELECT things", 2*ms, ms),
		span(1, "front", "client", "a.Back/Get", 5*ms, 4*ms, failed("NOT_FOUND", "nor this")),
		span(1, "front", "client", "a.Back/Get", 9*ms, ms, failed("NOT_FOUND", "nor that")),
	)
	t.Spans[5].Events = []collector.SpanEvent{{Time: zero.Add(9 * ms), Name: "hanse.hedge"}}
	return t
}

// deep is a chain of n spans.
func deep(n int) *collector.Trace {
	var spans []collector.Span
	for i := range n {
		spans = append(spans, span(i, "deep", "internal", fmt.Sprintf("a.Deep/Level%d", i), time.Duration(i)*us, time.Duration(2*n-2*i)*us, critical))
	}
	return traceOf(spans...)
}

var style = regexp.MustCompile("\x1b\\[[0-9;]*m")

func draw(t *testing.T, d waterfall.Drawing, trace *collector.Trace) string {
	t.Helper()
	var b strings.Builder
	if err := d.Write(&b, trace); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestGolden holds what people see, without colours.
func TestGolden(t *testing.T) {
	for name, tt := range map[string]struct {
		d     waterfall.Drawing
		trace *collector.Trace
	}{
		"order":    {waterfall.Drawing{}, order()},
		"order80":  {waterfall.Drawing{Width: 80, Said: true, Logs: lines}, order()},
		"critical": {waterfall.Drawing{Width: 80, Critical: true, Said: true, Logs: lines}, order()},
		"narrow":   {waterfall.Drawing{Width: 1}, order()},
		"wide":     {waterfall.Drawing{Width: 80, Most: 6}, wide(40)},
		"deep":     {waterfall.Drawing{Width: 80}, deep(14)},
		"left":     {waterfall.Drawing{Width: 80, Most: 2, Said: true}, failing()},
		"long":     {waterfall.Drawing{Width: 91}, traceOf(span(0, "nightly", "internal", "rebuild", 0, 50*time.Minute, critical))},
		"refused":  {waterfall.Drawing{Width: 80}, asking()},
		"refused1": {waterfall.Drawing{Width: 1}, asking()},
		"running":  {waterfall.Drawing{Width: 80}, running()},
		"nothing":  {waterfall.Drawing{Width: 80}, traceOf(span(0, "cart", "server", "Carts/Get", 0, 0, critical))},
	} {
		t.Run(name, func(t *testing.T) {
			got := style.ReplaceAllString(draw(t, tt.d, tt.trace), "")
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			width := max(tt.d.Width, 40)
			if tt.d.Width == 0 {
				width = 100
			}
			for line := range strings.Lines(got) {
				if n := lipgloss.Width(strings.TrimSuffix(line, "\n")); n > width {
					t.Errorf("%d columns: %s", n, line)
				}
			}
			if strings.ContainsAny(got, "\x1b\r\t") {
				t.Errorf("%q", got)
			}
		})
	}
}

// TestLarge holds that large traces are drawn, whole or in part, and nothing is lost from the count.
func TestLarge(t *testing.T) {
	const n = 10_000
	for name, trace := range map[string]*collector.Trace{"wide": wide(n), "deep": deep(n)} {
		all := strings.Split(draw(t, waterfall.Drawing{}, trace), "\n")
		if len(all) < n || len(all) > n+10 {
			t.Errorf("%s: %d lines of all", name, len(all))
		}
		text := style.ReplaceAllString(draw(t, waterfall.Drawing{Most: 100}, trace), "")
		shown, left := 0, 0
		for line := range strings.Lines(text) {
			if m := regexp.MustCompile(`… ([\d,]+) more spans?`).FindStringSubmatch(line); m != nil {
				k := 0
				if _, err := fmt.Sscan(strings.ReplaceAll(m[1], ",", ""), &k); err != nil {
					t.Fatal(err)
				}
				left += k
			} else if strings.Contains(line, "… ") && !strings.Contains(line, "Get ") {
				left++
			} else if strings.Contains(line, " Back/") || strings.Contains(line, " Front/") && strings.Contains(line, "█") || strings.Contains(line, "Deep/") && strings.Contains(line, "█") {
				shown++
			}
		}
		if shown+left != n || shown != 100 {
			t.Errorf("%s: %d are shown and %d left out, of %d:\n%s", name, shown, left, n, text)
		}
	}
	if text := draw(t, waterfall.Drawing{Most: 100}, wide(n)); !strings.Contains(text, "no such thing") {
		t.Error("what failed is left out")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriteError(t *testing.T) {
	if err := (waterfall.Drawing{}).Write(broken{}, order()); err != io.ErrClosedPipe {
		t.Errorf("%v", err)
	}
}
