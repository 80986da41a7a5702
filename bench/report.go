package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// section is the result of one subject: a table with a few words before and after it.
type section struct {
	title  string
	intro  string
	header []string
	rows   [][]string
	notes  []string
}

func (s *section) add(cells ...string) { s.rows = append(s.rows, cells) }

func (s *section) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n", s.title)
	if s.intro != "" {
		fmt.Fprintf(&b, "%s\n\n", s.intro)
	}
	b.WriteString("| " + strings.Join(s.header, " | ") + " |\n|" + strings.Repeat("---|", len(s.header)) + "\n")
	for _, row := range s.rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	for _, note := range s.notes {
		fmt.Fprintf(&b, "\n%s\n", note)
	}
	return b.String()
}

func writeReport(path string, sections []*section) error {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\nMade by `make bench`; run it on your machine. Ratios are medians of paired, interleaved rounds, with their quartiles in brackets;\nabsolute times depend on the machine and on what else it does.\n\n")
	fmt.Fprintf(&b, "%s · %s · %d cores · %s · %s/%s\n", time.Now().UTC().Format(time.DateOnly), cpuModel(), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, s := range sections {
		b.WriteString(s.text())
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
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

// quartiles returns the lower quartile, the median and the upper quartile.
func quartiles(values []float64) (low, median, high float64) {
	v := slices.Sorted(slices.Values(values))
	at := func(q float64) float64 { return v[int(q*float64(len(v)-1)+0.5)] }
	return at(0.25), at(0.5), at(0.75)
}

func ratio(values []float64) string {
	low, median, high := quartiles(values)
	return fmt.Sprintf("%.2fx (%.2f–%.2f)", median, low, high)
}

// percentile of sorted durations.
func percentile(sorted []time.Duration, p float64) time.Duration {
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}
