package ui

import (
	"strconv"
	"strings"
)

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
