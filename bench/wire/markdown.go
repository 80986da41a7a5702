package wire

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-go/hanse/bench/sample"
	"github.com/hanse-go/hanse/bench/table"
)

// Intro says how the figures were measured.
func (r *Report) Intro() string {
	pinned := "each pinned to a core of its own where GOMAXPROCS is 1"
	if len(r.Notes) > 0 {
		pinned = strings.Join(r.Notes, " ")
	}
	return fmt.Sprintf(`Client and server are processes of their own, %s; one connection; every call under its own `+"`context.WithTimeout`"+`; the same messages.
The peers take turns of %v, in another order each time, %d turns each, and what is compared are ratios of the same round. grpc-go takes part twice: a cell in
which the two differ by more than %.0f %% is void. Everyone has windows of 1 MiB and 16 MiB and buffers of 64 KiB as far as it can be told (grpc-go as it comes does
about as well). CPU is user and system time of both processes. Allocations are without those of the caller's own context.

- *hanse*: package rpc of this repository with its defaults; *hanse without policies*: with all of package resilience switched off; *hanse on grpc-go*: the same on the transport of `+"`rpc/grpcwire`"+`; *connect-go*: gRPC over net/http.
- *framed protobuf*: the practical floor, a length and a number as the only framing, with the same batching; *framed bytes*: without encoding.

The figures to reach; what decides is the quartile that is worse for us, of differences and counts the median:`, pinned, r.Turn, r.Rounds, 100*sample.Tolerance)
}

// group is some of the cells in tables of their own.
type group struct {
	title string
	has   func(Cell) bool
}

var groups = []group{
	{"TCP, a core for each side", func(c Cell) bool { return c.Network == "tcp" && !c.TLS && c.Procs == 1 && !isMixed(c) }},
	{"TCP, GOMAXPROCS=2, not pinned", func(c Cell) bool { return c.Network == "tcp" && c.Procs == 2 }},
	{"TLS", func(c Cell) bool { return c.TLS }},
	{"Unix sockets", func(c Cell) bool { return c.Network == "unix" }},
	{"In process (all but hanse over a pipe in memory)", func(c Cell) bool { return c.Network == "inprocess" }},
	{"With stock grpc-go on one side", isMixed},
}

func isMixed(c Cell) bool { return strings.HasPrefix(c.Name, "mixed/") }

// Markdown returns the tables of all cells.
func (r *Report) Markdown() string {
	var b strings.Builder
	for _, g := range groups {
		var results []*Result
		var who []string
		for i := range r.Results {
			res := &r.Results[i]
			if !g.has(res.Cell) {
				continue
			}
			results = append(results, res)
			for _, e := range res.Entries {
				if !slices.Contains(who, e.Contender) {
					who = append(who, e.Contender)
				}
			}
		}
		if len(results) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n", g.title)
		for _, t := range []struct {
			title string
			cell  func(*Result, *Entry) string
		}{
			{"Calls (or messages) a second; as a multiple of grpc-go", func(res *Result, e *Entry) string {
				text := thousands(sample.Median(e.values(speed)))
				if r := res.ratios(speed, e.Contender, Base); len(r) > 0 && e.Contender != Base {
					text += fmt.Sprintf(" · %.2f×", sample.Median(r))
				}
				return text
			}},
			{"CPU for one, client + server in µs; as a multiple of grpc-go", func(res *Result, e *Entry) string {
				text := fmt.Sprintf("%.1f", sample.Median(e.values(cpu)))
				if r := res.ratios(cpu, e.Contender, Base); len(r) > 0 && e.Contender != Base {
					text += fmt.Sprintf(" · %.2f×", sample.Median(r))
				}
				return text
			}},
			{"p50 / p99", func(_ *Result, e *Entry) string { return micros(e.P50) + " / " + micros(e.P99) }},
			{"Allocations for one, client + server", func(res *Result, e *Entry) string {
				if res.Cell.Network == "inprocess" {
					return fmt.Sprintf("%.1f", sample.Median(e.values(allocs)))
				}
				return fmt.Sprintf("%.1f + %.1f", sample.Median(e.values(clientAllocs)), sample.Median(e.values(serverAllocs)))
			}},
		} {
			var rows [][]string
			for _, res := range results {
				row := []string{strings.TrimSuffix(res.Cell.Name, "/p2")}
				if res.Void() {
					row[0] += " (void)"
				}
				for _, name := range who {
					if e := res.entry(name); e != nil {
						row = append(row, t.cell(res, e))
					} else {
						row = append(row, "")
					}
				}
				rows = append(rows, row)
			}
			fmt.Fprintf(&b, "\n%s:\n\n%s", t.title, table.Markdown(append([]string{""}, who...), rows))
		}
	}
	return b.String()
}
