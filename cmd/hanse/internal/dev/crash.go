package dev

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/process"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
)

const (
	firstPause = 500 * time.Millisecond // before a process that ended is started again; doubled each time
	lastPause  = 30 * time.Second
	// steady is how long a process must have been ready for its end to count as the first: longer than what falls over as soon as it
	// has begun to work, and short enough that killing processes now and then, as a test of resilience does, is met at once each time.
	steady = 5 * time.Second
	// remembered is how long the terminal tells of a crash after the process runs again.
	remembered = 30 * time.Second
)

// ended sees to a process that ended by itself: it says so, pins it to the terminal and starts another one after a pause.
func (s *supervisor) ended(c *child, exit process.Exit) {
	sl, u := c.slot, c.slot.unit
	label := s.label(sl, c)
	client := u.client
	s.mu.Lock()
	last := slices.Clone(c.last)
	if sl.child != c || sl.closed { // it was to replace another one, which is still there
		text := withCause(exit.Text, c.why(time.Now()))
		s.mu.Unlock()
		s.failf(u.name, "the new %s ended before it was ready: %s; the old one keeps running", label, text)
		return
	}
	if client && exit.Code == 0 {
		u.slots = slices.DeleteFunc(u.slots, func(o *slot) bool { return o == sl })
		u.want = len(u.slots)
		s.mu.Unlock()
		s.notef(u.name, "%s has finished", label)
		return
	}
	pause := sl.pause(c.readyAt, time.Now())
	f := &failure{reason: exit.Text, cause: c.why(time.Now()), last: last, at: time.Now()}
	sl.failure, sl.crash = f, f
	s.mu.Unlock()

	if client {
		s.failf(u.name, "%s ended: %s", label, f.text())
		s.updatePins()
		return
	}
	s.failf(u.name, "%s ended: %s; started again in %v", label, f.text(), pause)
	s.updatePins()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
		return
	}
	ctx, end, err := s.hold(s.ctx, u, false)
	if err != nil {
		return
	}
	defer end()
	s.mu.Lock()
	current := sl.failure == f && !sl.closed
	s.mu.Unlock()
	if !current { // someone was faster
		return
	}
	err = s.startSlot(ctx, sl, func(text string) { s.notef(u.name, "%s again", text) })
	if err != nil && !errors.Is(err, errEnded) && ctx.Err() == nil {
		s.failf(u.name, "%v", err)
	}
	if err == nil { // let the terminal forget it in a while
		s.updatePins()
		time.AfterFunc(remembered, func() {
			s.mu.Lock()
			if sl.crash == f {
				sl.crash = nil
			}
			s.mu.Unlock()
			s.updatePins()
		})
	}
}

// pause counts an end of the slot's process, which was ready since readyAt (zero: never), and returns how long to wait before the next
// one: longer each time, from the beginning after a process that was ready for a while. The caller holds supervisor.mu.
func (sl *slot) pause(readyAt, now time.Time) time.Duration {
	if !readyAt.IsZero() && now.Sub(readyAt) > steady {
		sl.restarts = 0
	}
	pause := min(firstPause<<min(sl.restarts, 10), lastPause)
	sl.restarts++
	return pause
}

// updatePins shows at the foot of the terminal what does not work, and tells the dashboard.
func (s *supervisor) updatePins() {
	defer s.bell.ring()
	s.mu.Lock()
	var pins []string
	if s.ready && !s.stopping {
		for _, p := range unique(s.programs) {
			if p.failure != nil {
				line, _, _ := strings.Cut(p.failure.Error(), "\n")
				pins = append(pins, fmt.Sprintf("%s %s does not build: %s", ui.Bad.Sprint("✗"), ui.Strong.Sprint(p.label()), line))
			}
		}
		for _, u := range s.units {
			for _, sl := range u.slots {
				pins = append(pins, sl.pin()...)
			}
		}
	}
	s.mu.Unlock()
	s.screen.pin(pins[:min(len(pins), maxPins)])
}

const (
	maxPins  = 15
	pinLines = 3 // of what a process printed last
)

// pin tells how the slot's process ended, if one did lately.
func (sl *slot) pin() (lines []string) {
	name := sl.name()
	f := sl.failure
	switch {
	case f != nil:
		text := fmt.Sprintf("%s %s %s", ui.Bad.Sprint("✗"), ui.Strong.Sprint(name), f.reason)
		if sl.restarts > 1 {
			text += fmt.Sprintf(", %d times", sl.restarts)
		}
		lines = append(lines, text)
	case sl.crash != nil:
		f = sl.crash
		now := "runs again"
		if sl.child.state != control.Ready {
			now = "starts again"
		}
		lines = append(lines, fmt.Sprintf("%s %s %s; it ended at %s: %s", ui.Warning.Sprint("!"), ui.Strong.Sprint(name), now, f.at.Format(time.TimeOnly), f.reason))
	default:
		return nil
	}
	var last []string
	for _, l := range f.last {
		if l = strings.TrimSpace(l); l != "" {
			last = append(last, ui.Faint.Sprint("    "+l))
		}
	}
	return append(lines, last[max(0, len(last)-pinLines):]...)
}
