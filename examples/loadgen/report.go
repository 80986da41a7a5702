package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"text/tabwriter"
	"time"
)

// result is what came of a stream, as --json prints it. Times are in milliseconds, from the moment at which a request should have
// started to the end of its answer.
type result struct {
	Target     float64 `json:"target_rate"` // requests a second
	Rate       float64 `json:"rate"`        // that were sent
	Seconds    float64 `json:"seconds"`
	Line               // of all
	SafeFailed int     `json:"safe_failed"` // of those that may be sent twice

	Methods []methodLine `json:"methods"`
	Errors  []errorLine  `json:"errors,omitempty"`
}

// Line is what is counted.
type Line struct {
	Sent    int     `json:"sent"`
	OK      int     `json:"ok"`
	Failed  int     `json:"failed"`
	Retried int     `json:"retried"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
	Max     float64 `json:"max_ms"`
}

type methodLine struct {
	Method string `json:"method"`
	Safe   bool   `json:"safe"`
	Line
}

type errorLine struct {
	Method  string `json:"method"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Count   int    `json:"count"`
}

func (r *result) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func (r *result) writeText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "method\tsafe\tsent\tok\tfailed\tretried\tp50 ms\tp99 ms\tmax ms\t")
	row := func(name, safe string, l Line) {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%.2f\t%.2f\t%.2f\t\n", name, safe, l.Sent, l.OK, l.Failed, l.Retried, l.P50, l.P99, l.Max)
	}
	for _, m := range r.Methods {
		safe := "no"
		if m.Safe {
			safe = "yes"
		}
		row(m.Method, safe, m.Line)
	}
	row("all", "", r.Line)
	if err := t.Flush(); err != nil {
		return err
	}
	for i, e := range r.Errors {
		if i == 10 {
			fmt.Fprintf(w, "… and %d other kinds of failure\n", len(r.Errors)-i)
			break
		}
		fmt.Fprintf(w, "%d × %s: %s: %s\n", e.Count, e.Method, e.Code, e.Message)
	}
	_, err := fmt.Fprintf(w, "%d requests in %.1f s, %.1f a second: %d ok, %d failed (%d of them safe to send twice), %d retried\n",
		r.Sent, r.Seconds, r.Rate, r.OK, r.Failed, r.SafeFailed, r.Retried)
	return err
}

// liveLine writes how the stream goes, every second on a terminal and every five else.
type liveLine struct {
	w        io.Writer
	rec      *recorder
	terminal bool
	once     sync.Once
	stopped  chan struct{}
}

func newLine(w io.Writer, rec *recorder) *liveLine {
	l := &liveLine{w: w, rec: rec, stopped: make(chan struct{})}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		l.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return l
}

func (l *liveLine) stop() { l.once.Do(func() { close(l.stopped) }) }

func (l *liveLine) run() {
	every := 5 * time.Second
	if l.terminal {
		every = time.Second
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	start, last, before := time.Now(), time.Now(), 0
	for {
		select {
		case <-l.stopped:
			if l.terminal {
				fmt.Fprint(l.w, "\r\x1b[K")
			}
			return
		case <-ticker.C:
		}
		g := l.rec.glance()
		text := fmt.Sprintf("%4.0fs  %6.1f/s  ok %d  failed %d  retried %d  waiting %d  p50 %.1f ms  p99 %.1f ms",
			time.Since(start).Seconds(), float64(g.sent-before)/time.Since(last).Seconds(), g.ok, g.failed, g.retried, g.sent-g.ok-g.failed,
			float64(g.p50)/float64(time.Millisecond), float64(g.p99)/float64(time.Millisecond))
		last, before = time.Now(), g.sent
		if l.terminal {
			fmt.Fprint(l.w, "\r\x1b[K"+text)
		} else {
			fmt.Fprintln(l.w, text)
		}
	}
}
