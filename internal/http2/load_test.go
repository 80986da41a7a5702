package http2

import (
	"testing"
	"time"
)

func TestLoad(t *testing.T) {
	type phase struct {
		reads      int
		wait, work time.Duration // of each
		saturated  int
	}
	for name, phases := range map[string][]phase{
		"idle":                         {{100, time.Second, time.Millisecond, 0}},
		"one long wait":                {{1, time.Hour, 0, 0}, {50, 0, 10 * time.Millisecond, 0}},
		"busy":                         {{62, 0, 10 * time.Millisecond, 1}},
		"busy for long":                {{610, 0, 10 * time.Millisecond, 10}},
		"an eighth of the time waits":  {{1000, time.Millisecond, 7 * time.Millisecond, 0}},
		"a fifteenth of the time does": {{45, time.Millisecond, 14 * time.Millisecond, 1}},
		"a pause between":              {{50, 0, 10 * time.Millisecond, 0}, {1, 100 * time.Millisecond, 0, 0}, {50, 0, 10 * time.Millisecond, 0}},
		"one piece of work that lasts": {{2, 0, time.Minute, 0}, {10, time.Second, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			var l load
			var now time.Duration
			for i, p := range phases {
				saturated := 0
				for range p.reads {
					called := now
					now += p.wait
					if l.read(int64(called), int64(now)) {
						saturated++
					}
					now += p.work
				}
				if saturated != p.saturated {
					t.Errorf("phase %d: saturated %d times, want %d", i, saturated, p.saturated)
				}
			}
		})
	}
}
