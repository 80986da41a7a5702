package dev

import (
	"sync"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
)

// stopAll ends all processes and waits for everything that watches them.
func (s *supervisor) stopAll() {
	s.mu.Lock()
	s.stopping = true
	var children []*child
	for _, u := range s.units {
		for _, sl := range u.slots {
			if sl.child != nil && !ended(sl.child.process) {
				children = append(children, sl.child)
			}
		}
	}
	s.mu.Unlock()
	s.stop() // what is under way, and with it processes that are not yet anybody's child

	s.screen.pin(nil)
	if len(children) > 0 {
		s.sayf("stopping %s; %s", processes(len(children)), ui.Faint.Sprint("Ctrl-C again ends them at once"))
	}
	bar := s.screen.progress("draining")
	var wg sync.WaitGroup
	for _, c := range children {
		wg.Go(func() {
			name := s.label(c.slot, nil)
			bar.add(name)
			defer bar.remove(name)
			s.drain(c)
		})
	}
	wg.Wait()
	s.work.Wait()
	bar.done()
	s.flushLogs()
	s.sayf("%s %s", ui.Good.Sprint("✓"), "stopped "+processes(len(children)))
}
