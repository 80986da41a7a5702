package ui

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"charm.land/lipgloss/v2"
)

// patience is how long work may take before a word is said about it.
const patience = time.Second

// Progress is one line about work that takes longer than a second: on a terminal a line that is redrawn and then removed,
// elsewhere a single line. Work that is done sooner says nothing. Its methods may be called concurrently.
type Progress struct {
	u     *UI
	start time.Time
	stop  chan struct{}
	done  chan struct{}

	mu   sync.Mutex
	what string
}

// Progress starts a progress line about what, such as "building protoc-gen-go-grpc". Done must be called, and before anything else
// is printed.
func (u *UI) Progress(format string, args ...any) *Progress {
	p := &Progress{u: u, start: time.Now(), stop: make(chan struct{}), done: make(chan struct{}), what: fmt.Sprintf(format, args...)}
	go p.run()
	return p
}

// Set changes what the line says.
func (p *Progress) Set(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what = fmt.Sprintf(format, args...)
}

// Done ends the line.
func (p *Progress) Done() {
	p.mu.Lock()
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	p.mu.Unlock()
	<-p.done
}

func (p *Progress) run() {
	defer close(p.done)
	first := time.NewTimer(patience)
	defer first.Stop()
	select {
	case <-p.stop:
		return
	case <-first.C:
	}
	if !p.u.Terminal {
		fmt.Fprintf(p.u.Err, "%s …\n", p.text())
		<-p.stop
		return
	}
	const frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
	spinner := []rune(frames)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		line := fmt.Sprintf("%c %s", spinner[i%len(spinner)], p.text())
		tail := fmt.Sprintf(" %.0fs", time.Since(p.start).Seconds())
		if room := p.u.Width() - lipgloss.Width(tail) - 1; lipgloss.Width(line) > room {
			line = lipgloss.NewStyle().MaxWidth(max(1, room)).Render(line)
		}
		fmt.Fprintf(p.u.Err, "\r\x1b[K%s%s", line, Faint.Sprint(tail))
		select {
		case <-p.stop:
			fmt.Fprint(p.u.Err, "\r\x1b[K")
			return
		case <-tick.C:
		}
	}
}

// text is what the line says, without the ellipsis that it may bring along: the line has its own.
func (p *Progress) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.TrimRight(p.what, " …")
}
