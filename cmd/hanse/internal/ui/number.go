package ui

import (
	"strconv"
	"strings"
	"time"
)

// Duration writes a length of time with three digits that count, as the dashboard does: 840 ns, 12.3 µs, 4.56 ms, 1.20 s, 2 m 5 s, 3 h 12 m.
func Duration(d time.Duration) string {
	d = max(d, 0) // clocks that differ
	whole := func(n time.Duration) string { return strconv.FormatInt(int64(n), 10) }
	switch {
	case d < time.Microsecond:
		return whole(d) + " ns"
	case d < time.Millisecond:
		return digits(float64(d)/1e3) + " µs"
	case d < time.Second:
		return digits(float64(d)/1e6) + " ms"
	case d < time.Minute:
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

// Rate writes how many there are in a second: 0, < 0.01/s, 12.3/s, 1250/s.
func Rate(perSecond float64) string {
	switch {
	case perSecond == 0:
		return "0"
	case perSecond < 0.005:
		return "< 0.01/s"
	}
	return digits(perSecond) + "/s"
}

// Percent writes a share of 1: 0 %, < 0.1 %, 2.5 %, 40 %.
func Percent(share float64) string {
	p := share * 100
	switch {
	case share == 0:
		return "0 %"
	case p < 0.1:
		return "< 0.1 %"
	case p < 9.95:
		return strconv.FormatFloat(p, 'f', 1, 64) + " %"
	}
	return strconv.FormatFloat(p, 'f', 0, 64) + " %"
}

// Plural writes a number with its noun: 1 span, 1,200 spans.
func Plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text + " " + noun
}

// Method is the last part of a method's name: pkg.Service/Method becomes Service/Method.
func Method(name string) string {
	name = strings.TrimPrefix(name, "/")
	service, method, ok := strings.Cut(name, "/")
	if !ok || strings.Contains(service, " ") { // GET /orders
		return name
	}
	return service[strings.LastIndexByte(service, '.')+1:] + "/" + method
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
