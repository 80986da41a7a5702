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
)

// subject is one thing that is measured.
type subject struct {
	name  string
	title string
	run   func(ctx context.Context, env *environment) (*section, error)
}

// environment is what the subjects share.
type environment struct {
	root  string // of the repository
	tmp   string // removed at the end
	hanse string // the built command
	quick bool   // fewer rounds: for trying the program itself
}

func main() {
	only := flag.String("only", "", "subjects to measure, separated by commas (default: all; nothing is written then)")
	quick := flag.Bool("quick", false, "few rounds: shows that the program works, the figures mean nothing")
	out := flag.String("out", "", "file to write (default with all subjects: docs/benchmarks.md of the repository)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, *only, *out, *quick); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, only, out string, quick bool) error {
	subjects := []subject{
		{"inprocess", "A call in process", inProcess},
		{"hello", "A small service", hello},
		{"purchase", "One purchase, three shapes", purchase},
		{"dev", "From a change to a running system", dev},
		{"sixty", "A system of sixty services", sixty},
	}
	names := make([]string, len(subjects))
	for i, s := range subjects {
		names[i] = s.name
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
	env := &environment{root: root, tmp: tmp, hanse: filepath.Join(tmp, "hanse"), quick: quick}
	fmt.Println("building the hanse command")
	if err := goBuild(ctx, root, env.hanse, "./cmd/hanse"); err != nil {
		return err
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
		fmt.Print(sec.text())
	}
	if out == "" {
		if only != "" || quick {
			return nil
		}
		out = filepath.Join(root, "docs", "benchmarks.md")
	}
	return writeReport(out, sections)
}
