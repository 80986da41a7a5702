// Package duration writes lengths of time for people.
package duration

import (
	"strconv"
	"time"
)

// Text writes a length of time with three digits that count, as the dashboard does: 840 ns, 12.3 µs, 4.56 ms, 1.20 s, 2 m 5 s, 3 h 12 m.
// A negative one, of clocks that differ, is 0 ns. What a program or a filter reads back has the form of [time.Duration] instead.
func Text(d time.Duration) string {
	d = max(d, 0) // clocks that differ
	whole := func(n time.Duration) string { return strconv.FormatInt(int64(n), 10) }
	switch {
	case d < time.Microsecond:
		return whole(d) + " ns"
	case d < 999_500: // what three digits would round up to 1000 goes on
		return digits(float64(d)/1e3) + " µs"
	case d < 999_500*time.Microsecond:
		return digits(float64(d)/1e6) + " ms"
	case d < 59_950*time.Millisecond:
		return digits(d.Seconds()) + " s"
	}
	s := d.Round(time.Second) / time.Second
	switch {
	case s < 3600:
		return whole(s/60) + " m " + whole(s%60) + " s"
	case s < 86400:
		return whole(s/3600) + " h " + whole(s%3600/60) + " m"
	}
	return whole(s/86400) + " d " + whole(s%86400/3600) + " h"
}

// digits writes a number from 0 with three digits that count.
func digits(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 9.995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 99.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}
