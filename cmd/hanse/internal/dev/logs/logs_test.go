package logs_test

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/logs"
	"github.com/hanse-go/hanse/telemetry/collector"
	"github.com/hanse-go/hanse/telemetry/filter"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := time.Date(2025, 6, 7, 8, 9, 10, 11, time.UTC)
	tests := []struct {
		text string
		want logs.Line
	}{
		{`listening on :80`, logs.Line{Time: now, Msg: "listening on :80"}},
		{``, logs.Line{Time: now}},
		{`{"time":"2025-06-07T08:09:10.000000011Z","level":"INFO","msg":"hi"}`, logs.Line{Time: at, Level: "INFO", Msg: "hi"}},
		{`{"level":"WARN+1","msg":"m","b":1.50,"a":"x y","g":{"k":true,"h":{"z":[1]}},"service":"cart","e":{}}`,
			logs.Line{Time: now, Level: "WARN+1", Msg: "m", Service: "cart", Attrs: []logs.Attr{
				{"b", "1.50"}, {"a", "x y"}, {"g.k", "true"}, {"g.h.z", "[1]"}, {"e", "{}"}}}},
		{`{"msg":"no level"}`, logs.Line{Time: now, Msg: `{"msg":"no level"}`}},
		{`{"level":"INFO","msg":"two"} {"a":1}`, logs.Line{Time: now, Msg: `{"level":"INFO","msg":"two"} {"a":1}`}},
		{`{"level":"INFO","msg":"cut`, logs.Line{Time: now, Msg: `{"level":"INFO","msg":"cut`}},
		{`{"level":"INFO","msg":"m","time":"noon"}`, logs.Line{Time: now, Level: "INFO", Msg: "m", Attrs: []logs.Attr{{"time", "noon"}}}},
	}
	for _, tt := range tests {
		if got := logs.Parse(tt.text, now); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("Parse(%s)\n got %+v\nwant %+v", tt.text, got, tt.want)
		}
	}
}

// What slog writes is read back.
func TestParseSlog(t *testing.T) {
	var b strings.Builder
	slog.New(slog.NewJSONHandler(&b, nil)).WithGroup("g").Error("it \"broke\"", "err", fmt.Errorf("no\nway"), "d", time.Second)
	l := logs.Parse(strings.TrimSuffix(b.String(), "\n"), time.Time{})
	want := []logs.Attr{{"g.err", "no\nway"}, {"g.d", "1000000000"}}
	if l.Level != "ERROR" || l.Msg != `it "broke"` || l.Time.IsZero() || !reflect.DeepEqual(l.Attrs, want) {
		t.Errorf("%+v", l)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"level":"INFO","msg":"m","g":{"a":{"b":1}}}`)
	f.Add("plain\x00 text")
	f.Fuzz(func(t *testing.T, text string) {
		var r logs.Renderer
		if out := r.Render(logs.Parse(text, time.Time{})); !strings.HasSuffix(out, "\n") {
			t.Errorf("%q", out)
		}
	})
}

func TestRender(t *testing.T) {
	at := time.Date(2025, 6, 7, 8, 9, 10, 0, time.Local)
	tests := []struct {
		line logs.Line
		want string
	}{
		{logs.Line{Service: "cart", Time: at, Msg: "  plain text"}, "cart    │   plain text\n"},
		{logs.Line{Service: "cart", Replica: 2, Time: at, Level: "INFO", Msg: "placed", Attrs: []logs.Attr{{"id", "42"}, {"who", "a b"}, {"none", ""}}},
			"cart.2  │ 08:09:10 INF placed id=42 who=\"a b\" none=\"\"\n"},
		{logs.Line{Service: "cart", Time: at, Level: "ERROR", Msg: "panic", Attrs: []logs.Attr{{"stack", "a\n\tb\n"}, {"n", "1"}}},
			"cart    │ 08:09:10 ERR panic n=1\ncart    │ stack:\ncart    │     a\ncart    │     \tb\n"},
		{logs.Line{Service: "cart", Time: at, Msg: "bell\a and\r back"}, "cart    │ bell and back\n"},
		{logs.Line{Service: "checkout", Time: at, Dev: true, Msg: "restarted"}, "checkout │ 08:09:10 restarted\n"},
		{logs.Line{Service: "cart", Time: at, Msg: ""}, "cart     │\n"},
		{logs.Line{Service: "cart", Time: at, Level: "WARN", Msg: "slow", Attrs: []logs.Attr{{"instance", "4711"}, {"n", "1"}, {"trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"}, {"span_id", "00f067aa0ba902b7"}}},
			"cart     │ 08:09:10 WRN slow n=1 trace=4bf92f35\n"},
	}
	r := logs.Renderer{Width: 7}
	for _, tt := range tests {
		if got := ansi.Strip(r.Render(tt.line)); got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
}

// What the collector keeps of a line, and of one that came to it by another way, is shown alike.
func TestStored(t *testing.T) {
	at := time.Date(2025, 6, 7, 8, 9, 10, 0, time.UTC)
	l := logs.Line{Service: "cart", Replica: 2, PID: 7, Time: at, Level: "WARN+1", Msg: "slow", Dev: true,
		Attrs: []logs.Attr{{"n", "1"}, {"instance", "4711"}, {"trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"}, {"span_id", "00f067aa0ba902b7"}}}
	stored := l.Stored()
	if stored.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" || stored.SpanID != "00f067aa0ba902b7" || stored.Instance != "4711" || len(stored.Attrs) != 1 || stored.Level != "WARN+1" {
		t.Errorf("%+v", stored)
	}
	if back := logs.FromStored(stored); !reflect.DeepEqual(back, l) {
		t.Errorf("got  %+v\nwant %+v", back, l)
	}
	other := logs.FromStored(collector.Log{Service: "web", Message: "hi", Attrs: []collector.Attr{{Key: "n", Value: int64(3)}, {Key: "l", Value: []any{"a", true}}}})
	if want := (logs.Line{Service: "web", Msg: "hi", Attrs: []logs.Attr{{"n", "3"}, {"l", `["a",true]`}}}); !reflect.DeepEqual(other, want) {
		t.Errorf("%+v", other)
	}
}

func TestLineMatches(t *testing.T) {
	l := logs.Line{Service: "cart", Level: "WARN", Msg: "it is slow", Attrs: []logs.Attr{{"took", "1.5s"}, {"instance", "4711"}, {"trace_id", "4bf9"}, {"span_id", "00f0"}}}
	for text, want := range map[string]bool{
		"slow": true, "1.5s": true, "-slow": false, "fast": false, "service:cart": true, "service:web": false, "level:info": true, "level:error": false, "took>1s": true, "took>2s": false,
		"trace:4b": true, "trace:5": false, "span:00f0": true, "instance:4711": true, "msg:*slow": true, "nothing:*": false,
	} {
		f, err := filter.Parse(text)
		if err != nil || f.Match(l) != want {
			t.Errorf("%s: %v, %v", text, f.Match(l), err)
		}
	}
	if f, _ := filter.Parse("level:trace"); f.Match(logs.Line{Msg: "plain"}) {
		t.Error("plain output has a level")
	}
}

func texts(lines []logs.Line) string {
	var s []string
	for _, l := range lines {
		s = append(s, l.Msg)
	}
	return strings.Join(s, " ")
}

func TestRing(t *testing.T) {
	r := logs.NewRing(4)
	if lines, seq := r.Last(10, nil); len(lines) != 0 || seq != 0 {
		t.Errorf("an empty ring has %v, %d", lines, seq)
	}
	for i := range 7 {
		r.Add(logs.Line{Msg: fmt.Sprint(i)})
	}
	lines, seq := r.Last(10, nil)
	if texts(lines) != "3 4 5 6" || seq != 7 {
		t.Errorf("Last: %s, %d", texts(lines), seq)
	}
	lines, _ = r.Last(1, func(l logs.Line) bool { return l.Msg < "5" })
	if texts(lines) != "4" {
		t.Errorf("Last with a filter: %s", texts(lines))
	}
	for seq, want := range map[uint64]string{0: "3 4 5 6", 3: "3 4 5 6", 4: "4 5 6", 6: "6"} {
		if got := texts(r.After(t.Context(), seq)); got != want {
			t.Errorf("After(%d) = %s, want %s", seq, got, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := r.After(ctx, 7); got != nil {
		t.Errorf("After the end: %v", got)
	}
}

// Readers that follow see every line once and in order, and end with the ring.
func TestRingFollow(t *testing.T) {
	const n = 1000
	r := logs.NewRing(n)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			var seq uint64
			for {
				lines := r.After(t.Context(), seq)
				if len(lines) == 0 {
					break
				}
				for _, l := range lines {
					if l.Seq != seq+1 {
						t.Errorf("line %d behind %d", l.Seq, seq)
					}
					seq = l.Seq
				}
			}
			if seq != n {
				t.Errorf("a reader ended at %d", seq)
			}
		})
	}
	for i := range n {
		r.Add(logs.Line{Msg: fmt.Sprint(i)})
	}
	r.Close()
	wg.Wait()
}
