package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
)

func TestTraceID(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for text, want := range map[string]string{
		id: id, strings.ToUpper(id): id, "4BF92F35": "4bf92f35", "4": "4",
		"00-" + id + "-00f067aa0ba902b7-01":                       id,
		"http://127.0.0.1:24817/traces/" + id + "?token=ABCDEF23": id,
		"": "", "xyz": "", "4bf92f35 ": "", id + "0": "", "cart": "",
	} {
		got, err := traceID(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestEnough(t *testing.T) {
	list := func(ids ...string) (out []collector.TraceSummary) {
		for _, id := range ids {
			out = append(out, collector.TraceSummary{TraceID: id + strings.Repeat("0", 32-len(id))})
		}
		return out
	}
	for want, ids := range map[int][]string{8: {"4bf92f35", "4bf92f36"}, 10: {"4bf92f35aa", "4bf92f35ab"}, 32: {"1", "1"}} {
		if got := enough(list(ids...)); got != want {
			t.Errorf("%q: %d, want %d", ids, got, want)
		}
	}
	if got := enough(nil); got != 8 {
		t.Errorf("of none: %d", got)
	}
}

func TestTraceCells(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.Local)
	s := collector.TraceSummary{TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", Start: now.Add(-time.Minute), Duration: 12_345_678, Spans: 7, Services: []string{"a", "b"}, Service: "cart", Name: "shop.v1.Carts/Get"}
	check := func(want string) {
		t.Helper()
		if got := plain(fmt.Sprintf("%q", traceCells(&s, 8, now))); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	check(`["4bf92f35" "11:59:00.000" "12.3 ms" "7" "" "2" "cart" "Carts/Get"]`)
	s.Start, s.Errors, s.Status, s.Gap, s.Duration = now.Add(-24*time.Hour), 2, "error", true, 125*time.Second
	check(`["4bf92f35" "2026-01-30 12:00:00" "2 m 5 s" "7" "2" "2" "cart" "Carts/Get ✗ (its beginning is not there)"]`)
	s.Running = true
	check(`["4bf92f35" "2026-01-30 12:00:00" "2 m 5 s" "7" "2" "2" "cart" "Carts/Get ✗ (running)"]`)
}

// plain takes out styles, also of quoted text.
func plain(text string) string {
	for _, esc := range []string{"\x1b[", `\x1b[`} {
		for {
			at := strings.Index(text, esc)
			if at < 0 {
				break
			}
			text = text[:at] + text[at+strings.IndexByte(text[at:], 'm')+1:]
		}
	}
	return text
}
