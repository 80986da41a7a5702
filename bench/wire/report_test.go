package wire_test

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/bench/wire"
)

// entry makes a contender's part: calls in one second, and CPU of client and server together, for each round.
func entry(name string, calls []int, cpu time.Duration) wire.Entry {
	e := wire.Entry{Contender: name, P50: time.Millisecond, P99: 2 * time.Millisecond}
	for _, n := range calls {
		used := wire.Usage{CPU: cpu * time.Duration(n) / 2, Mallocs: uint64(4 * n)}
		e.Rounds = append(e.Rounds, wire.Round{Units: n, Took: time.Second, Client: used, Server: used})
	}
	return e
}

func repeat(calls, rounds int) []int { return slices.Repeat([]int{calls}, rounds) }

func report(cell string, entries ...wire.Entry) *wire.Report {
	for _, c := range wire.Cells() {
		if c.Name == cell {
			return &wire.Report{Rounds: 4, Turn: time.Second, Results: []wire.Result{{Cell: c, Entries: entries}}}
		}
	}
	panic("no cell " + cell)
}

// marks returns the last column of the goals.
func marks(r *wire.Report) (marks []string) {
	_, rows := r.GoalTable()
	for _, row := range rows {
		marks = append(marks, row[len(row)-1])
	}
	return marks
}

func TestGoals(t *testing.T) {
	base, again := entry(wire.Base, repeat(1000, 5), 100*time.Microsecond), entry(wire.Control, repeat(1000, 5), 100*time.Microsecond)
	slow := entry(wire.Control, repeat(900, 5), 100*time.Microsecond)
	costly := entry(wire.Control, repeat(1000, 5), 112*time.Microsecond)
	floor := entry(wire.Floor, repeat(8000, 5), 12*time.Microsecond)
	for name, c := range map[string]struct {
		cell    string
		entries []wire.Entry
		want    string // calls/s, CPU, CPU to the floor, allocations of client and server
	}{
		"reached":                   {"unary/tcp/1KiB/c64", []wire.Entry{entry(wire.Subject, repeat(6000, 5), 15*time.Microsecond), base, again, floor}, "✓ ✓ ✓ ✓ ✓"},
		"fast but dear":             {"unary/tcp/1KiB/c64", []wire.Entry{entry(wire.Subject, repeat(6000, 5), 17*time.Microsecond), base, again, floor}, "✓ ✗ ✗ ✓ ✓"},
		"median high, quartile low": {"unary/tcp/1KiB/c64", []wire.Entry{entry(wire.Subject, []int{6000, 6000, 6000, 5900, 5900}, 15*time.Microsecond), base, again, floor}, "✗ ✓ ✓ ✓ ✓"},
		"one bad round":             {"unary/tcp/1KiB/c64", []wire.Entry{entry(wire.Subject, []int{6000, 6000, 6000, 6000, 100}, 15*time.Microsecond), base, again, floor}, "✓ ✓ ✓ ✓ ✓"},
		"control too slow":          {"unary/tcp/1KiB/c64", []wire.Entry{entry(wire.Subject, repeat(6000, 5), 15*time.Microsecond), base, slow, floor}, "void void void void void"},
		"control too dear":          {"unary/tcp/1KiB/c64", []wire.Entry{entry(wire.Subject, repeat(6000, 5), 15*time.Microsecond), base, costly}, "void void void void"},
		"no control":                {"unary/tcp/1KiB/c64", []wire.Entry{entry(wire.Subject, repeat(6000, 5), 15*time.Microsecond), base}, "✓ ✓ ✓ ✓"},
		"no base":                   {"unary/tcp/1KiB/c64", []wire.Entry{entry(wire.Subject, repeat(6000, 5), 15*time.Microsecond)}, "✓ ✓"},
		"cheap policies":            {"unary/tcp/1KiB/c64", []wire.Entry{entry(wire.Subject, repeat(6000, 5), 15*time.Microsecond), entry(wire.Bare, repeat(6000, 5), 14200*time.Nanosecond)}, "✓ ✓ ✓ ✓"},
		"dear policies":             {"unary/tcp/1KiB/c64", []wire.Entry{entry(wire.Subject, repeat(6000, 5), 15*time.Microsecond), entry(wire.Bare, repeat(6000, 5), 13800*time.Nanosecond)}, "✓ ✓ ✗ ✓"},
		"failed":                    {"unary/tcp/1KiB/c64", []wire.Entry{{Contender: wire.Subject, Error: "gone"}, base, again}, ""},
		"against stock peers": {"mixed/tcp/1KiB/c64", []wire.Entry{base, again,
			entry("hanse calls grpc-go", []int{900, 900, 970, 970, 970}, 0), entry("grpc-go calls hanse", []int{960, 960, 960, 990, 990}, 0)}, "✓ ✗"},
		"a cell without goals": {"unary/unix/1KiB/c64", []wire.Entry{entry(wire.Subject, repeat(1, 5), time.Second), base, again}, ""},
	} {
		if got := strings.Join(marks(report(c.cell, c.entries...)), " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestTables(t *testing.T) {
	r := report("unary/tcp/1KiB/c64",
		entry(wire.Subject, repeat(60_000, 3), 15*time.Microsecond),
		entry(wire.Base, repeat(10_000, 3), 100*time.Microsecond),
		entry(wire.Control, repeat(8_000, 3), 100*time.Microsecond),
		wire.Entry{Contender: "connect-go", Error: "round 2: refused"})
	for _, want := range []string{"VOID", "60 000", "6.00 (6.00–6.00)", "7.5 + 7.5", "0.15 (0.15–0.15)", "failed: round 2: refused"} {
		if text := r.Results[0].Text(); !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, want := range []string{"(void)", "60 000 · 6.00×", "15.0 · 0.15×", "1000 µs / 2000 µs", "4.0 + 4.0"} {
		if text := r.Markdown(); !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if failed := r.Failed(); len(failed) != 1 || !strings.HasPrefix(failed[0], "unary/tcp/1KiB/c64: connect-go: round 2") {
		t.Errorf("%q", failed)
	}
}

func TestPlot(t *testing.T) {
	full := report("unary/tcp/1KiB/c64",
		entry(wire.Subject, repeat(60_000, 3), 15*time.Microsecond),
		entry(wire.Base, repeat(10_000, 3), 100*time.Microsecond))
	for name, r := range map[string]*wire.Report{"full": full, "empty": {}} {
		svg := r.SVG()
		bars := 0
		for d := xml.NewDecoder(strings.NewReader(svg)); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v in\n%s", name, err, svg)
			}
			if s, ok := token.(xml.StartElement); ok && s.Name.Local == "title" {
				bars++
			}
		}
		if want := map[string]int{"full": 4, "empty": 0}[name]; bars != want {
			t.Errorf("%s: %d bars, want %d", name, bars, want)
		}
		if !strings.Contains(svg, "prefers-color-scheme: dark") {
			t.Errorf("%s: one theme only", name)
		}
	}
}

// The names of cells are what people type.
func TestCells(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range wire.Cells() {
		if seen[c.Name] {
			t.Errorf("two cells are called %s", c.Name)
		}
		seen[c.Name] = true
	}
	for _, name := range []string{"unary/tcp/64KiB/c512/p2", "unary/tls/100B/c1", "unary/unix/1KiB/c64", "unary/inprocess/1KiB/c1", "chat/tcp/100B/inflight"} {
		if !seen[name] {
			t.Errorf("no cell is called %s", name)
		}
	}
}
