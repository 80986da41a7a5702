package storefront

import (
	"fmt"
	"time"

	"github.com/hanse-go/hanse/examples/shop/served"
)

// strip is the end of every page: what served it.
type strip struct {
	Did      string // "GET /cart"
	Rows     []stripRow
	Calls    int // also those that services made in turn
	Services int
	Paths    []pathCount
	Failed   int
	Total    time.Duration
}

type pathCount struct {
	Path  string
	Calls int
}

// stripRow is one call.
type stripRow struct {
	served.Call
	Depth int
	Left  float64 // of its bar, in percent of the total
	Width float64
}

// pathNames are the ways of calls as the page calls them, the nearest first.
var pathNames = []struct{ path, name string }{
	{"inprocess", "in process"}, {"unix", "unix socket"}, {"tcp", "TCP"}, {"", "not reached"},
}

func newStrip(did string, calls []served.Call, total time.Duration) strip {
	s := strip{Did: did, Total: total}
	services, paths := make(map[string]bool), make(map[string]int)
	var add func(calls []served.Call, depth int, offset time.Duration)
	add = func(calls []served.Call, depth int, offset time.Duration) {
		for _, c := range calls {
			row := stripRow{Call: c, Depth: depth}
			if total > 0 {
				row.Left = min(100*float64(offset+c.Start)/float64(total), 99)
				row.Width = max(min(100*float64(c.Took)/float64(total), 100-row.Left), 1)
			}
			s.Rows = append(s.Rows, row)
			s.Calls++
			services[c.Service] = true
			paths[c.Path]++
			if row.Failed() {
				s.Failed++
			}
			if depth < 3 { // what a cookie says is not to be believed too far
				add(c.Calls, depth+1, offset+c.Start)
			}
		}
	}
	add(calls, 0, 0)
	s.Services = len(services)
	for _, p := range pathNames {
		if n := paths[p.path]; n > 0 {
			s.Paths = append(s.Paths, pathCount{p.name, n})
		}
		delete(paths, p.path)
	}
	for path, n := range paths { // a way that this page does not know
		s.Paths = append(s.Paths, pathCount{path, n})
	}
	return s
}

// Failed tells whether the call brought no answer. That something is not there, or not allowed, is one.
func (r stripRow) Failed() bool {
	switch r.Code {
	case "OK", "NotFound", "AlreadyExists", "InvalidArgument", "FailedPrecondition", "OutOfRange":
		return false
	}
	return true
}

// PathName returns the way of the call as the page calls it.
func (r stripRow) PathName() string {
	for _, p := range pathNames {
		if p.path == r.Path {
			return p.name
		}
	}
	return r.Path
}

// ShortInstance returns as much of the instance's ID as hanse ps shows.
func (r stripRow) ShortInstance() string {
	if len(r.Instance) > 24 {
		return r.Instance[:8]
	}
	return r.Instance
}

// millis formats a duration as a page shows it: "0.4 ms", "12 ms", "1.2 s".
func millis(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
