package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/telemetry/advise"
)

// TestAdviceText holds what people read.
func TestAdviceText(t *testing.T) {
	saving := advise.Saving{Time: 1600 * time.Microsecond, Share: 0.25, CPU: advise.CPU{Busy: 80 * time.Microsecond, Idle: 1200 * time.Microsecond}}
	f := advise.Finding{
		Kind: advise.Repeats, Title: "cart calls catalog.Catalog/Get 8 times for one cart.Cart/List, one after the other", Advice: "ask for all of them at once",
		Services: []string{"cart", "catalog"}, Requests: 3, Flag: "--services=cart,catalog", Saving: saving, Traces: []string{"4bf92f3577b34da6a3ce929d0e0e4736"},
	}
	foreign := f
	foreign.Flag, foreign.Why = "", "catalog is not written in Go (nodejs)"
	report := func(f ...advise.Finding) *advise.Report {
		return &advise.Report{
			Requests: 3, Calls: 24, Findings: f, CPUSource: "the benchmarks", OneSided: 2,
			Pairs: []advise.Pair{{From: "cart", To: "catalog", Requests: 3, Calls: 8, Saving: saving}, {From: "cart", To: "stock", Requests: 1, Calls: 1, Local: true}},
		}
	}
	for _, tt := range []struct {
		name     string
		report   *advise.Report
		programs map[string]string
		want     []string
	}{
		{"nothing was recorded", &advise.Report{}, nil, []string{"No request was recorded"}},
		{"all is well", report(), nil, []string{"3 requests with 24 calls", "✓ Nothing calls too much.", "CALLS EACH", "25 %", "in one process", "by the benchmarks", "2 more calls"}},
		{"one program", report(f), map[string]string{"cart": "./shop", "catalog": "./shop"}, []string{
			"! cart calls catalog.Catalog/Get 8 times", "would save 1.6 ms (25 % of it) and 80 µs–1.2 ms of CPU: go run ./shop --services=cart,catalog", "such as 4bf92f3577b34da6a3ce929d0e0e4736",
		}},
		{"two programs", report(f), map[string]string{"cart": "./cart", "catalog": "./catalog"}, []string{
			"--services=cart,catalog of a program that has them all: hanse.Main(cart.Service(), catalog.Service())",
		}},
		{"another language", report(foreign), nil, []string{"cannot be put into one process by a flag: catalog is not written in Go (nodejs)"}},
	} {
		var b strings.Builder
		if err := writeAdvice(&b, tt.report, tt.programs); err != nil {
			t.Fatal(err)
		}
		plain := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(b.String(), "")
		for _, want := range tt.want {
			if !strings.Contains(plain, want) {
				t.Errorf("%s: %q is missing in\n%s", tt.name, want, plain)
			}
		}
	}
}
