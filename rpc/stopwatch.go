package rpc

import "time"

// stopwatch tells the time by one look at the monotonic clock, where [time.Now] takes two. What it tells is for measuring: as the time of
// day it is as far off as the system's clock was set meanwhile.
type stopwatch struct{ began time.Time }

func newStopwatch() stopwatch { return stopwatch{time.Now()} }

func (s stopwatch) now() time.Time { return s.began.Add(time.Since(s.began)) }
