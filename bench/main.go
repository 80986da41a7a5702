package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/hanse-go/hanse/bench/wire"
)

// subject is one thing that is measured.
type subject struct {
	name  string
	title string
	run   func(ctx context.Context, env *environment) (*section, error)
	hanse bool // needs the hanse command
}

// environment is what the subjects share.
type environment struct {
	root  string // of the repository
	tmp   string // removed at the end
	hanse string // the built command
	quick bool   // fewer rounds: for trying the program itself
	wire  wireFlags
}

func main() {
	if wire.Work() || serveConnect() || serveHelper() {
		return
	}
	env := &environment{}
	only := flag.String("only", "", "subjects to measure, separated by commas (default: all)")
	flag.BoolVar(&env.quick, "quick", false, "few rounds: shows that the program works, the figures mean nothing")
	write := flag.Bool("write", false, "write what was measured into docs/benchmarks.md of the repository, where other sections stay as they are, and docs/wire.svg")
	env.wire.register(flag.CommandLine)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, env, *only, *write); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, env *environment, only string, write bool) error {
	subjects := []subject{
		{"wire", "The wire", wireBench, false},
		{"inprocess", "A call in process", inProcess, false},
		{"rest", "REST", rest, false},
		{"connect", "Connect", connect, false},
		{"gateway", "The gateway: what it costs others, WebSocket and JSON-RPC", gatewayBench, false},
		{"events", "Events", eventsBench, false},
		{"outbox", "Outbox", outboxBench, false},
		{"telemetry", "Telemetry", telemetryBench, false},
		{"collector", "The collector of telemetry", collectorBench, false},
		{"hello", "A small service", hello, false},
		{"purchase", "One purchase", purchase, false},
		{"dev", "From a change to a running system", dev, true},
		{"sixty", "A system of sixty services", sixty, true},
	}
	names, titles := make([]string, len(subjects)), make([]string, len(subjects))
	for i, s := range subjects {
		names[i], titles[i] = s.name, s.title
	}
	wanted := names
	if only != "" {
		wanted = strings.Split(only, ",")
		for _, w := range wanted {
			if !slices.Contains(names, w) {
				return fmt.Errorf("no subject %q; there are %s", w, strings.Join(names, ", "))
			}
		}
	}
	root, err := repository()
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "hanse-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	env.root, env.tmp, env.hanse = root, tmp, filepath.Join(tmp, "hanse")
	if slices.ContainsFunc(subjects, func(s subject) bool { return s.hanse && slices.Contains(wanted, s.name) }) {
		fmt.Println("building the hanse command")
		if err := goBuild(ctx, root, env.hanse, "./cmd/hanse"); err != nil {
			return err
		}
	}
	var sections []*section
	for _, s := range subjects {
		if !slices.Contains(wanted, s.name) {
			continue
		}
		fmt.Printf("\n%s\n", s.title)
		sec, err := s.run(ctx, env)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		sec.title = s.title
		sections = append(sections, sec)
		if !sec.told {
			fmt.Print(sec.text())
		}
	}
	if !write {
		return nil
	}
	for _, sec := range sections {
		if sec.plot != "" {
			if err := os.WriteFile(filepath.Join(root, "docs", "wire.svg"), []byte(sec.plot), 0o644); err != nil {
				return err
			}
		}
	}
	return writeReport(filepath.Join(root, "docs", "benchmarks.md"), titles, sections)
}
