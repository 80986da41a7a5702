package load

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Counts are what became of requests. Sent + NotSent is what was due; OK + Failed is the same.
type Counts struct {
	Sent    uint64 `json:"sent"`
	NotSent uint64 `json:"not_sent"` // too many waited for an answer; they count as failed
	OK      uint64 `json:"ok"`
	Failed  uint64 `json:"failed"`  // with an error, without an answer in time, with a wrong answer, or not sent
	Retried uint64 `json:"retried"` // attempts beyond the first
}

// String writes the counts in one line.
func (c Counts) String() string {
	s := fmt.Sprintf("sent %d, ok %d, failed %d, retried %d", c.Sent, c.OK, c.Failed, c.Retried)
	if c.NotSent > 0 {
		s += fmt.Sprintf(", not sent %d", c.NotSent)
	}
	return s
}

// Progress is how a run goes.
type Progress struct {
	Elapsed  time.Duration
	Rate     float64       // requests sent in each second since the last Progress
	Counts                 // since the start
	P50, P99 time.Duration // of the answers since the last Progress
}

// String writes the progress in one line.
func (p Progress) String() string {
	return fmt.Sprintf("%5s  %6.0f/s   ok %-8d errors %-5d retried %-5d p50 %-8s p99 %s",
		p.Elapsed.Round(time.Second), p.Rate, p.OK, p.Failed, p.Retried, round(p.P50), round(p.P99))
}

// Milliseconds is a duration that JSON shows as a number of milliseconds.
type Milliseconds time.Duration

// MarshalJSON implements [encoding/json.Marshaler].
func (m Milliseconds) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", float64(m)/float64(time.Millisecond)), nil
}

// String writes the duration with three digits.
func (m Milliseconds) String() string { return round(time.Duration(m)).String() }

// Latency is how long answers took, from when their requests were due.
type Latency struct {
	P50  Milliseconds `json:"p50_ms"`
	P90  Milliseconds `json:"p90_ms"`
	P99  Milliseconds `json:"p99_ms"`
	Most Milliseconds `json:"max_ms"`
}

func latencyOf(h *histogram) Latency {
	return Latency{P50: Milliseconds(h.quantile(.5)), P90: Milliseconds(h.quantile(.9)), P99: Milliseconds(h.quantile(.99)), Most: Milliseconds(h.most)}
}

// Method is the part of a report that is about one method.
type Method struct {
	Name     string    `json:"method"` // shop.catalog.v1.Catalog/ListProducts
	Safe     bool      `json:"safe"`   // its contract says that it may be sent again
	Counts             // Retried without what a stream did after it was made
	Latency  Latency   `json:"latency"`
	Problems []Problem `json:"problems,omitempty"` // most frequent first
}

// Problem is one way in which requests failed.
type Problem struct {
	Text  string `json:"text"`
	Count uint64 `json:"count"`
}

// Report is what became of a run.
type Report struct {
	Started time.Time    `json:"started"`
	Elapsed Milliseconds `json:"elapsed_ms"` // until the last answer
	Asked   float64      `json:"rate"`       // requests a second that were due
	Counts
	Latency Latency  `json:"latency"`
	Methods []Method `json:"methods"` // by name
}

// FailedSafe returns how many requests of methods failed that may be sent again.
func (r *Report) FailedSafe() (n uint64) {
	for _, m := range r.Methods {
		if m.Safe {
			n += m.Failed
		}
	}
	return n
}

// WriteTo writes the report as a table, with the problems below it.
func (r *Report) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "SENT\tOK\tFAILED\tRETRIED\tP50\tP90\tP99\tMAX\tSAFE\t  METHOD")
	row := func(c Counts, l Latency, safe, name string) {
		fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%v\t%v\t%v\t%v\t%s\t  %s\n", c.Sent, c.OK, c.Failed, c.Retried, l.P50, l.P90, l.P99, l.Most, safe, name)
	}
	for _, m := range r.Methods {
		row(m.Counts, m.Latency, map[bool]string{true: "yes", false: "no"}[m.Safe], m.Name)
	}
	row(r.Counts, r.Latency, "", fmt.Sprintf("all, %v at %v requests/s", time.Duration(r.Elapsed).Round(100*time.Millisecond), r.Asked))
	if err := t.Flush(); err != nil {
		return 0, err
	}
	for _, m := range r.Methods {
		for _, p := range m.Problems {
			fmt.Fprintf(&b, "%6d× %s: %s\n", p.Count, m.Name, p.Text)
		}
	}
	if r.NotSent > 0 {
		fmt.Fprintf(&b, "%d requests were due and not sent, for too many waited for an answer\n", r.NotSent)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// round keeps three digits or so.
func round(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(10 * time.Microsecond)
}
