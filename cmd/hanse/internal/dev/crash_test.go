package dev

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/logs"
)

// A process that ends again and again is started later each time; one that has been ready for a while begins anew.
func TestPause(t *testing.T) {
	sl := &slot{}
	now := time.Now()
	for i, tt := range []struct {
		ready time.Duration // before it ended; 0: never
		want  time.Duration
	}{
		{0, 500 * time.Millisecond},
		{0, time.Second},
		{time.Second, 2 * time.Second},     // it was ready, but fell over at once
		{5 * time.Second, 4 * time.Second}, // not longer than that either
		{0, 8 * time.Second},
		{0, 16 * time.Second},
		{0, 30 * time.Second},
		{0, 30 * time.Second},
		{5001 * time.Millisecond, 500 * time.Millisecond},
		{0, time.Second},
	} {
		var readyAt time.Time
		if tt.ready > 0 {
			readyAt = now.Add(-tt.ready)
		}
		if got := sl.pause(readyAt, now); got != tt.want {
			t.Errorf("end %d: %v, want %v", i+1, got, tt.want)
		}
	}
	for range 100 { // no shift goes too far
		sl.pause(time.Time{}, now)
	}
	if got := sl.pause(time.Time{}, now); got != 30*time.Second {
		t.Errorf("after many: %v", got)
	}
}

// What a process said is wrong stands beside its exit status.
func TestCause(t *testing.T) {
	for _, tt := range []struct{ name, printed, want string }{
		{"an error", `{"level":"INFO","msg":"begins"}
{"level":"ERROR","msg":"service db: set-up failed: no database"}
{"level":"INFO","msg":"ends"}`, "service db: set-up failed: no database"},
		{"the last of several", "first\n\nsecond\n", "second"},
		{"none", `{"level":"INFO","msg":"all is well"}`, ""},
		{"a panic", "something\npanic: no map\n\ngoroutine 1 [running]:\nmain.main()", "panic: no map"},
		{"its own colours", "\x1b[31mred\x1b[0m", "red"},
		{"a long one", strings.Repeat("x", 200), strings.Repeat("x", 139) + "…"},
		{"several lines in one", `{"level":"ERROR","msg":"one\ntwo"}`, "one"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, now := &child{}, time.Now()
			for line := range strings.SplitSeq(tt.printed, "\n") {
				c.blame(logs.Parse(line, now))
			}
			if got := c.why(now); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got := c.why(now.Add(time.Minute)); got != "" {
				t.Errorf("a minute later: %q", got)
			}
		})
	}
	if got := (&failure{reason: "exit status 1", cause: "no database"}).text(); got != "exit status 1: no database" {
		t.Error(got)
	}
}

// A copy keeps its number until it has ended.
func TestSlotName(t *testing.T) {
	u := newUnit(&wish{name: "cart"})
	first, second := &slot{unit: u, number: 1}, &slot{unit: u, number: 2}
	u.slots = []*slot{first}
	if got := first.name(); got != "cart" {
		t.Errorf("alone: %s", got)
	}
	u.slots = []*slot{first, second}
	if first.name() != "cart.1" || second.name() != "cart.2" {
		t.Errorf("two: %s and %s", first.name(), second.name())
	}
	u.slots = []*slot{first}
	if first.name() != "cart" || second.name() != "cart.2" {
		t.Errorf("the second ends: %s and %s", first.name(), second.name())
	}
}

// What does not work stays at the foot of the terminal, with how it ended and its last lines.
func TestPin(t *testing.T) {
	u := newUnit(&wish{name: "cart"})
	sl := &slot{unit: u, number: 1}
	u.slots = []*slot{sl}
	expect := func(want ...string) {
		t.Helper()
		var got []string
		for _, line := range sl.pin() {
			got = append(got, ansi.Strip(line))
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	expect()
	at := time.Date(2026, 1, 1, 12, 30, 0, 0, time.Local)
	f := &failure{reason: "exit status 3", last: []string{"one", "two", "", "three", "four "}, at: at}
	sl.failure, sl.crash, sl.restarts = f, f, 1
	expect("✗ cart exit status 3", "    two", "    three", "    four")
	sl.restarts = 4
	expect("✗ cart exit status 3, 4 times", "    two", "    three", "    four")
	sl.failure, sl.child = nil, &child{state: control.Starting}
	expect("! cart starts again; it ended at 12:30:00: exit status 3", "    two", "    three", "    four")
	sl.child.state = control.Ready
	expect("! cart runs again; it ended at 12:30:00: exit status 3", "    two", "    three", "    four")
	sl.crash = nil
	expect()
}
