// Package hot tells which functions of a profile cost most, as `go tool pprof -top` does.
package hot

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/pprof/profile"
)

// Function is one function of a profile. Flat is what it cost itself, Cum with all that it called.
type Function struct {
	Name string `json:"function"`
	File string `json:"file,omitempty"`
	Flat int64  `json:"flat"`
	Cum  int64  `json:"cum"`
}

// Summary is what a profile says in short.
type Summary struct {
	Kind      string        `json:"sample"` // such as cpu, inuse_space, goroutine
	Unit      string        `json:"unit"`   // nanoseconds, bytes, count
	Total     int64         `json:"total"`
	Duration  time.Duration `json:"duration_ns,omitempty"` // over which it was taken; 0: it is a state
	Functions []Function    `json:"top"`
}

// Read reads a profile and returns the functions that cost most themselves, then those that cost most with what they called; most bounds
// how many. The kind is that of the samples; "" is the profile's own choice, as a rule its last.
func Read(r io.Reader, kind string, most int) (*Summary, error) {
	p, err := profile.Parse(r)
	if err != nil {
		return nil, fmt.Errorf("read the profile: %w", err)
	}
	at, err := p.SampleIndexByName(kind)
	if err != nil {
		return nil, err
	}
	s := &Summary{Kind: p.SampleType[at].Type, Unit: p.SampleType[at].Unit, Duration: time.Duration(p.DurationNanos), Functions: []Function{}}
	byName := map[string]*Function{}
	seen := map[string]bool{}
	for _, sample := range p.Sample {
		v := sample.Value[at]
		s.Total += v
		clear(seen)
		for depth, loc := range sample.Location {
			for i, line := range loc.Line { // what was inlined comes first
				if line.Function == nil {
					continue
				}
				f := byName[line.Function.Name]
				if f == nil {
					f = &Function{Name: line.Function.Name, File: line.Function.Filename}
					byName[f.Name] = f
				}
				if depth == 0 && i == 0 {
					f.Flat += v
				}
				if !seen[f.Name] { // once for a function that calls itself
					seen[f.Name] = true
					f.Cum += v
				}
			}
		}
	}
	for _, f := range byName {
		if f.Cum != 0 {
			s.Functions = append(s.Functions, *f)
		}
	}
	slices.SortFunc(s.Functions, func(a, b Function) int {
		return cmp.Or(cmp.Compare(b.Flat, a.Flat), cmp.Compare(b.Cum, a.Cum), cmp.Compare(a.Name, b.Name))
	})
	s.Functions = s.Functions[:min(len(s.Functions), most)]
	return s, nil
}

// Format writes a value of a unit for people.
func Format(v int64, unit string) string {
	switch unit {
	case "nanoseconds":
		d := time.Duration(v)
		switch {
		case d >= time.Second:
			return d.Round(10 * time.Millisecond).String()
		case d >= time.Millisecond:
			return d.Round(10 * time.Microsecond).String()
		}
		return d.String()
	case "bytes":
		f, names := float64(v), []string{"B", "KiB", "MiB", "GiB", "TiB"}
		i := 0
		for ; (f >= 1024 || f <= -1024) && i < len(names)-1; i++ {
			f /= 1024
		}
		if i == 0 {
			return fmt.Sprintf("%d B", v)
		}
		return fmt.Sprintf("%.1f %s", f, names[i])
	}
	return fmt.Sprint(v)
}
