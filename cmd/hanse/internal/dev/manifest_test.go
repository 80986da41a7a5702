package dev

import (
	"testing"

	"github.com/hanse-go/hanse/cmd/hanse/internal/manifest"
)

// What hanse.yaml says now of a unit that runs is compared with what it said before.
func TestDifferences(t *testing.T) {
	goEntry := func(e manifest.Process) *wish {
		e.Name, e.Run = "cart", "./cart"
		return &wish{name: "cart", program: &program{}, entry: &e, services: []string{"cart"}, copies: max(1, e.Replicas), manual: e.Manual}
	}
	command := func(e manifest.Process) *wish {
		e.Name = "cart"
		return &wish{name: "cart", entry: &e, services: []string{"cart"}, copies: 1}
	}
	noEntry := goEntry(manifest.Process{})
	noEntry.entry = nil
	type p = manifest.Process
	for _, tt := range []struct {
		name        string
		before, now *wish
		want        int // copies that there should be
		ok          bool
		why         string
		n           int
	}{
		{name: "nothing", before: goEntry(p{Env: map[string]string{"A": "1"}}), now: goEntry(p{Env: map[string]string{"A": "1"}}), want: 1, n: -1},
		{name: "environment", before: goEntry(p{}), now: goEntry(p{Env: map[string]string{"A": "1"}}), want: 1, ok: true, why: "hanse.yaml changed", n: -1},
		{name: "arguments", before: goEntry(p{}), now: goEntry(p{Args: []string{"-v"}}), want: 1, ok: true, why: "hanse.yaml changed", n: -1},
		{name: "folder", before: goEntry(p{}), now: goEntry(p{Dir: "data"}), want: 1, ok: true, why: "hanse.yaml changed", n: -1},
		{name: "command", before: command(p{Command: []string{"a"}}), now: command(p{Command: []string{"b"}}), want: 1, ok: true, why: "hanse.yaml changed", n: -1},
		{name: "port of pages", before: goEntry(p{}), now: goEntry(p{Port: 80}), want: 1, ok: true, n: -1},
		{name: "port of a command", before: command(p{}), now: command(p{Port: 80}), want: 1, ok: true, why: "hanse.yaml changed", n: -1},
		{name: "what is watched", before: goEntry(p{}), now: goEntry(p{Watch: []string{"data"}}), want: 1, ok: true, n: -1},
		{name: "the first hanse.yaml", before: noEntry, now: goEntry(p{}), want: 1, ok: true, n: -1},
		{name: "more copies", before: goEntry(p{}), now: goEntry(p{Replicas: 3}), want: 1, ok: true, n: 3},
		{name: "fewer, of more that were asked for", before: goEntry(p{Replicas: 3}), now: goEntry(p{Replicas: 2}), want: 5, ok: true, n: 2},
		{name: "as many as were asked for", before: goEntry(p{}), now: goEntry(p{Replicas: 2}), want: 2, ok: true, n: -1},
		{name: "copies of what is stopped", before: goEntry(p{}), now: goEntry(p{Replicas: 2}), want: 0, ok: true, n: -1},
		{name: "no longer on demand", before: goEntry(p{Manual: true}), now: goEntry(p{}), want: 0, ok: true, n: 1},
		{name: "no longer on demand, and runs", before: goEntry(p{Manual: true}), now: goEntry(p{}), want: 1, ok: true, n: -1},
		{name: "on demand, and runs", before: goEntry(p{}), now: goEntry(p{Manual: true}), want: 1, ok: true, n: -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := newUnit(tt.before)
			u.want = tt.want
			c, ok := differences(u, tt.now)
			if ok != tt.ok || c.why != tt.why || c.n != tt.n {
				t.Errorf("%v, %q, %d copies; want %v, %q, %d", ok, c.why, c.n, tt.ok, tt.why, tt.n)
			}
		})
	}
	u := newUnit(goEntry(p{}))
	u.want = 1
	more := goEntry(p{})
	more.services = []string{"cart", "mail"}
	if c, ok := differences(u, more); !ok || c.why != "its services are now cart and mail" {
		t.Errorf("%v, %q", ok, c.why)
	}
}
