package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/bench/sample"
	"github.com/hanse-go/hanse/bench/table"
)

// section is the result of one subject: a table with a few words before and after it.
type section struct {
	title  string
	intro  string
	header []string
	rows   [][]string
	notes  []string
	more   string // Markdown that follows
	plot   string // docs/wire.svg
	told   bool   // printed while it was measured
}

func (s *section) add(cells ...string) { s.rows = append(s.rows, cells) }

func (s *section) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", s.title, machine())
	if s.intro != "" {
		fmt.Fprintf(&b, "%s\n\n", s.intro)
	}
	b.WriteString(table.Markdown(s.header, s.rows))
	for _, note := range s.notes {
		fmt.Fprintf(&b, "\n%s\n", note)
	}
	b.WriteString(s.more)
	return b.String()
}

const reportHead = `# Benchmarks

Made by ` + "`make bench`" + `; run it on your machine. Ratios are medians of paired, interleaved rounds, with their quartiles in brackets;
absolute times depend on the machine and on what else it does.
`

// writeReport writes the sections to a file, in the order of titles. Sections of the file that were not measured stay, and those that are
// no subject's, written by hand, come last.
func writeReport(path string, titles []string, sections []*section) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := map[string]string{}
	order := slices.Clone(titles)
	for i, part := range strings.Split(string(old), "\n## ") {
		if i > 0 {
			title, _, _ := strings.Cut(part, "\n")
			text[title] = "\n## " + strings.TrimRight(part, "\n") + "\n"
			if !slices.Contains(order, title) {
				order = append(order, title)
			}
		}
	}
	for _, s := range sections {
		text[s.title] = s.text()
	}
	var b strings.Builder
	b.WriteString(reportHead)
	for _, title := range order {
		b.WriteString(text[title])
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// machine says when and on what something was measured.
func machine() string {
	return fmt.Sprintf("%s · %s · %d cores · %s · %s/%s", time.Now().UTC().Format(time.DateOnly), cpuModel(), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if name, ok := strings.CutPrefix(sc.Text(), "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return "unknown processor"
}

func ratio(values []float64) string {
	low, median, high := sample.Quartiles(values)
	return fmt.Sprintf("%.2fx (%.2f–%.2f)", median, low, high)
}

// percentile of sorted durations.
func percentile(sorted []time.Duration, p float64) time.Duration {
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}
