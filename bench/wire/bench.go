package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Bench says what to measure and how. Its zero value measures everything, in about half an hour. It is used once, by one goroutine.
type Bench struct {
	Cells    *regexp.Regexp // names of cells; nil: all
	Goals    bool           // only cells that have a figure to reach
	Peers    []string       // names of contenders; empty: all that a cell has
	Rounds   int            // turns of each contender; 0 is 15
	Turn     time.Duration  // length of one; 0 is 250 ms
	Attempts int            // at a cell that turns out void; 0 is 1
	Profile  string         // folder for profiles of all processes; "": none
	Out      io.Writer      // gets a table after each cell; nil: nobody
}

func (b *Bench) rounds() int { return orElse(b.Rounds, 15) }

func (b *Bench) turn() time.Duration { return orElse(b.Turn, 250*time.Millisecond) }

func orElse[T int | time.Duration](v, ifZero T) T {
	if v == 0 {
		return ifZero
	}
	return v
}

// Run measures. The report has what was measured until ctx ended or something failed for good; a contender that fails is noted in its
// result, and the others go on.
func (b *Bench) Run(ctx context.Context) (*Report, error) {
	cells, err := b.chosen()
	if err != nil {
		return nil, err
	}
	report := &Report{Rounds: b.rounds(), Turn: b.turn()}
	clientCore, serverCore, err := cores()
	if err != nil {
		report.Notes = append(report.Notes, fmt.Sprintf("Not pinned to cores: %v.", err))
		clientCore, serverCore = -1, -1
	}
	out := b.Out
	if out == nil {
		out = io.Discard
	}
	for _, note := range report.Notes {
		fmt.Fprintln(out, note)
	}
	tmp, err := os.MkdirTemp("", "wire-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	cert, key, err := certificate()
	if err != nil {
		return nil, err
	}
	for _, cell := range cells {
		var result Result
		for attempt := range max(b.Attempts, 1) {
			r := &run{bench: b, cell: cell, tmp: tmp, cert: cert, key: key, clientCore: clientCore, serverCore: serverCore}
			if cell.Procs > 1 {
				r.clientCore, r.serverCore = -1, -1
			}
			result, err = r.do(ctx)
			if err != nil {
				return report, fmt.Errorf("%s: %w", cell.Name, err)
			}
			result.Attempts = attempt + 1
			fmt.Fprint(out, result.Text())
			if !result.Void() {
				break
			}
		}
		report.Results = append(report.Results, result)
	}
	return report, nil
}

// chosen returns the cells to measure, each with the contenders that take part.
func (b *Bench) chosen() ([]Cell, error) {
	var cells []Cell
	for _, c := range Cells() {
		if b.Cells != nil && !b.Cells.MatchString(c.Name) || b.Goals && !hasGoal(c.Name) {
			continue
		}
		if len(b.Peers) > 0 {
			var some []contender
			for _, name := range b.Peers {
				i := slices.IndexFunc(c.contenders, func(p contender) bool { return p.name == name })
				switch _, isPeer := peers()[name]; {
				case i >= 0:
					some = append(some, c.contenders[i])
				case isPeer && !slices.ContainsFunc(Cells(), func(c Cell) bool { return slices.Contains(c.contenders, pair(name)) }):
					some = append(some, pair(name)) // takes part only when it is asked to
				}
			}
			c.contenders = some
		}
		if len(c.contenders) > 0 {
			cells = append(cells, c)
		}
	}
	if len(cells) == 0 {
		return nil, errors.New("no cell has such a name and such peers")
	}
	return cells, nil
}

// run is one attempt at a cell.
type run struct {
	bench      *Bench
	cell       Cell
	tmp        string
	cert, key  []byte
	clientCore int // -1: any
	serverCore int
}

func (r *run) do(ctx context.Context) (result Result, err error) {
	result.Cell = r.cell
	var duos []*duo
	defer func() {
		for _, d := range duos {
			err = errors.Join(err, d.end())
		}
	}()
	for i, c := range r.cell.contenders {
		result.Entries = append(result.Entries, Entry{Contender: c.name})
		d, derr := r.begin(ctx, c, i)
		if d != nil {
			duos = append(duos, d)
		}
		if derr != nil {
			if ctx.Err() != nil {
				return result, ctx.Err()
			}
			result.Entries[i].Error = derr.Error()
		}
	}
	order := make([]int, len(duos))
	for i := range order {
		order[i] = i
	}
	for round := range r.bench.rounds() {
		for _, i := range order {
			e := &result.Entries[i]
			if e.Error != "" {
				continue
			}
			got, err := duos[i].turn(r.bench.turn())
			if ctx.Err() != nil {
				return result, ctx.Err()
			}
			if err != nil {
				e.Error = fmt.Sprintf("round %d: %v", round+1, err)
				continue
			}
			e.add(got)
		}
		order = append(order[1:], order[0]) // another begins
	}
	return result, nil
}

// begin starts the processes of a contender and warms them up. The duo is not nil if anything was started.
func (r *run) begin(ctx context.Context, c contender, n int) (*duo, error) {
	d := &duo{contender: c}
	s := setting{Network: r.cell.Network, Dressed: r.cell.Dressed}
	if r.cell.TLS {
		s.Cert, s.Key, s.Mutual = r.cert, r.key, r.cell.Mutual
	}
	var err error
	if s.Network == "inprocess" {
		if d.client, err = start(ctx, r.cell.Procs, r.clientCore); err != nil {
			return d, err
		}
		if _, err = d.client.tell(command{Both: &role{c.client, r.cell, s}}); err != nil {
			return d, err
		}
	} else {
		s.Address = "127.0.0.1:0"
		if s.Network == "unix" {
			s.Address = filepath.Join(r.tmp, fmt.Sprintf("%d.sock", n))
			os.Remove(s.Address) // of an earlier cell
		}
		if d.server, err = start(ctx, r.cell.Procs, r.serverCore); err != nil {
			return d, err
		}
		a, err := d.server.tell(command{Serve: &role{c.server, r.cell, s}})
		if err != nil {
			return d, err
		}
		s.Address = a.Address
		if d.client, err = start(ctx, r.cell.Procs, r.clientCore); err != nil {
			return d, err
		}
		if _, err := d.client.tell(command{Call: &role{c.client, r.cell, s}}); err != nil {
			return d, err
		}
	}
	if _, err := d.turn(r.bench.turn()); err != nil {
		return d, err
	}
	if r.bench.Profile == "" {
		return d, nil
	}
	if err := os.MkdirAll(r.bench.Profile, 0o755); err != nil {
		return d, err
	}
	prefix := filepath.Join(r.bench.Profile, strings.NewReplacer("/", "-", " ", "-").Replace(r.cell.Name+"."+c.name))
	for side, p := range map[string]*process{".client": d.client, ".server": d.server} {
		if p == nil {
			continue
		}
		if _, err := p.tell(command{Profile: prefix + side}); err != nil {
			return d, err
		}
	}
	return d, nil
}
