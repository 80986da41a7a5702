package http2

import "time"

const (
	// A connection is saturated when its reader has waited for less than a tenth of the time, in as many windows as this in a row.
	loadWindow  = 200 * time.Millisecond
	loadWindows = 3
)

// load tells when one goroutine is no longer enough to read a connection. Time that the reader waits for a processor counts as
// waiting: where all processors are busy, another reader would not help.
type load struct {
	since  int64 // by the connection's clock, when the window began
	waited int64 // of the window
	full   int   // windows in a row
}

// read counts a read that was called and returned at these times, and reports whether the reader is saturated. It says so once in
// loadWindows windows.
func (l *load) read(called, returned int64) bool {
	l.waited += returned - called
	length := returned - l.since
	if length < int64(loadWindow) {
		return false
	}
	busy := l.waited < length/10
	l.since, l.waited = returned, 0
	if !busy {
		l.full = 0
		return false
	}
	if l.full++; l.full < loadWindows {
		return false
	}
	l.full = 0
	return true
}
