package dev

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/logs"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
)

// devName is under which hanse dev itself speaks in the logs.
const devName = "hanse"

// sayf prints a line of its own, outside the logs.
func (s *supervisor) sayf(format string, args ...any) {
	s.screen.print(fmt.Sprintf(format, args...) + "\n")
}

// stepf says that something is done and how long it took.
func (s *supervisor) stepf(began time.Time, format string, args ...any) {
	s.sayf("%s %s %s", ui.Good.Sprint("✓"), fmt.Sprintf(format, args...), ui.Faint.Sprint(took(time.Since(began))))
}

func took(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }

// notef says something about a service (or about all: devName) in the logs.
func (s *supervisor) notef(service, format string, args ...any) {
	s.tell(logs.Line{Time: time.Now(), Service: service, Msg: fmt.Sprintf(format, args...), Dev: true})
}

// failf says in the logs what went wrong.
func (s *supervisor) failf(service, format string, args ...any) {
	s.tell(logs.Line{Time: time.Now(), Service: service, Level: "ERROR", Msg: fmt.Sprintf(format, args...), Dev: true})
}

// problemf says what went wrong with hanse dev itself.
func (s *supervisor) problemf(format string, args ...any) { s.failf(devName, format, args...) }

// printer follows the logs on behalf of the terminal.
type printer struct {
	mu      sync.Mutex
	seq     uint64        // of the last line that was printed
	changed chan struct{} // closed when seq changes
}

// printLogs prints the logs until ctx ends and all are printed.
func (s *supervisor) printLogs(ctx context.Context) {
	var r logs.Renderer
	for _, u := range s.snapshot() {
		r.Width = max(r.Width, len(u.name))
		for _, name := range u.services {
			r.Width = max(r.Width, len(name))
		}
	}
	var seq uint64
	for {
		lines := s.ring.After(ctx, seq)
		if len(lines) == 0 {
			return
		}
		var b strings.Builder
		for _, l := range lines {
			if seq > 0 && l.Seq > seq+1 {
				fmt.Fprintf(&b, "%s\n", ui.Faint.Sprint(fmt.Sprintf("… %d lines were faster than this terminal", l.Seq-seq-1)))
			}
			seq = l.Seq
			b.WriteString(r.Render(l))
		}
		s.screen.print(b.String())
		s.printed.mu.Lock()
		s.printed.seq = seq
		if s.printed.changed != nil {
			close(s.printed.changed)
			s.printed.changed = nil
		}
		s.printed.mu.Unlock()
	}
}

// flushLogs waits until the lines that there are now are printed.
func (s *supervisor) flushLogs() {
	_, seq := s.ring.Last(0, nil)
	for {
		s.printed.mu.Lock()
		if s.printed.seq >= seq {
			s.printed.mu.Unlock()
			return
		}
		if s.printed.changed == nil {
			s.printed.changed = make(chan struct{})
		}
		changed := s.printed.changed
		s.printed.mu.Unlock()
		<-changed
	}
}

// settle waits until what the processes print about their start is printed too: nothing has come for a moment, or enough has.
func (s *supervisor) settle() {
	const moment, atMost = 60 * time.Millisecond, 400 * time.Millisecond
	for began := time.Now(); time.Since(began) < atMost; {
		_, seq := s.ring.Last(0, nil)
		ctx, cancel := context.WithTimeout(s.ctx, moment)
		more := s.ring.After(ctx, seq)
		cancel()
		if len(more) == 0 {
			break
		}
	}
	s.flushLogs()
}
