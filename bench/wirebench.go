package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/hanse-go/hanse/bench/wire"
)

// wireFlags are the flags of the subject wire.
type wireFlags struct {
	cells   string
	goals   bool
	peers   string
	rounds  int
	turn    time.Duration
	tries   int
	profile string
	json    string
}

func (w *wireFlags) register(f *flag.FlagSet) {
	f.StringVar(&w.cells, "cells", "", "wire: `regexp` of the cells to measure, such as 'unary/tcp/1KiB/c64$' (default: all)")
	f.BoolVar(&w.goals, "goals", false, "wire: only cells that have a figure to reach")
	f.StringVar(&w.peers, "peers", "", "wire: who takes part, separated by commas, such as 'hanse,grpc-go,grpc-go again' (default: all)")
	f.IntVar(&w.rounds, "rounds", 0, "wire: turns of each peer (default 15)")
	f.DurationVar(&w.turn, "turn", 0, "wire: length of a turn (default 250ms)")
	f.IntVar(&w.tries, "attempts", 0, "wire: how often a void cell is measured, at most (default 1 with -cells, else 3)")
	f.StringVar(&w.profile, "profile", "", "wire: `folder` for profiles of CPU and allocations of each client and server")
	f.StringVar(&w.json, "json", "", "wire: `file` for all that was measured")
}

func wireBench(ctx context.Context, env *environment) (*section, error) {
	w := env.wire
	b := &wire.Bench{Rounds: w.rounds, Turn: w.turn, Attempts: w.tries, Goals: w.goals, Profile: w.profile, Out: os.Stdout}
	if env.quick {
		b.Rounds, b.Turn = 3, 50*time.Millisecond
	}
	if w.cells != "" {
		var err error
		if b.Cells, err = regexp.Compile(w.cells); err != nil {
			return nil, fmt.Errorf("-cells: %w", err)
		}
	} else if b.Attempts == 0 {
		b.Attempts = 3
	}
	if w.peers != "" {
		b.Peers = strings.Split(w.peers, ",")
	}
	report, err := b.Run(ctx)
	if report != nil {
		fmt.Print(report.Goals())
		if w.json != "" {
			err = errors.Join(err, writeJSON(w.json, report))
		}
	}
	if err != nil {
		return nil, err
	}
	if failed := report.Failed(); len(failed) > 0 {
		return nil, fmt.Errorf("not every peer worked:\n%s", strings.Join(failed, "\n"))
	}
	sec := &section{intro: report.Intro(), told: true, plot: report.SVG()}
	sec.more = "\n![Calls a second and CPU per call](wire.svg)\n" + report.Markdown()
	sec.header, sec.rows = report.GoalTable()
	return sec, nil
}

func writeJSON(path string, report *wire.Report) error {
	b, err := json.MarshalIndent(report, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
