package dev

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
)

// screen is the terminal: text that scrolls, and below it lines that stay, about what is under way and what does not work. Where
// the output is no terminal nothing stays, and what takes long is told from time to time. It is safe for concurrent use.
type screen struct {
	out   io.Writer
	live  bool
	width int

	mu    sync.Mutex
	pins  []string
	bar   *progress
	drawn int // lines that stay
}

func newScreen(u *ui.UI) *screen {
	return &screen{out: u.Out, live: u.Terminal && u.OutTerminal, width: u.Width()}
}

// print writes text that ends in a line break.
func (sc *screen) print(text string) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.drawLocked(text)
}

// pin replaces the lines that stay.
func (sc *screen) pin(lines []string) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	if slices.Equal(lines, sc.pins) {
		return
	}
	sc.pins = lines
	sc.drawLocked("")
}

// close takes away the lines that stay.
func (sc *screen) close() {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.pins, sc.bar = nil, nil
	sc.drawLocked("")
}

// drawLocked writes text above the lines that stay, in one piece so that nothing flickers.
func (sc *screen) drawLocked(text string) {
	var b strings.Builder
	if sc.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r\x1b[J", sc.drawn)
		sc.drawn = 0
	}
	b.WriteString(text)
	if sc.live {
		stay := sc.pins
		if sc.bar != nil {
			stay = append(stay[:len(stay):len(stay)], sc.bar.line())
		}
		for _, line := range stay {
			b.WriteString(ansi.Truncate(line, sc.width-1, "…") + "\n")
		}
		sc.drawn = len(stay)
	}
	if b.Len() > 0 {
		io.WriteString(sc.out, b.String())
	}
}

// progress is the line about what is under way.
type progress struct {
	sc    *screen
	began time.Time
	stop  chan struct{}
	ended chan struct{}

	// Guarded by screen.mu.
	what  string
	items []string
	frame int
}

// telling is how often a long work is told where there is no terminal.
const telling = 10 * time.Second

// progress begins work; done ends it. There is one at a time.
func (sc *screen) progress(format string, args ...any) *progress {
	p := &progress{sc: sc, began: time.Now(), what: fmt.Sprintf(format, args...), stop: make(chan struct{}), ended: make(chan struct{})}
	sc.mu.Lock()
	sc.bar = p
	sc.mu.Unlock()
	go p.run()
	return p
}

func (p *progress) run() {
	defer close(p.ended)
	every := 100 * time.Millisecond
	if !p.sc.live {
		every = telling
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
		p.sc.mu.Lock()
		p.frame++
		if p.sc.live {
			p.sc.drawLocked("")
		} else {
			p.sc.drawLocked("… " + p.text() + "\n")
		}
		p.sc.mu.Unlock()
	}
}

// done ends the work and takes its line away.
func (p *progress) done() {
	close(p.stop)
	<-p.ended
	p.sc.mu.Lock()
	defer p.sc.mu.Unlock()
	if p.sc.bar == p {
		p.sc.bar = nil
		p.sc.drawLocked("")
	}
}

// setf changes what the line says.
func (p *progress) setf(format string, args ...any) {
	p.sc.mu.Lock()
	defer p.sc.mu.Unlock()
	p.what = fmt.Sprintf(format, args...)
}

// add names one of several things that are worked on.
func (p *progress) add(item string) {
	p.sc.mu.Lock()
	defer p.sc.mu.Unlock()
	p.items = append(p.items, item)
}

func (p *progress) remove(item string) {
	p.sc.mu.Lock()
	defer p.sc.mu.Unlock()
	if i := slices.Index(p.items, item); i >= 0 {
		p.items = slices.Delete(p.items, i, i+1)
	}
}

var frames = []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")

func (p *progress) line() string {
	return fmt.Sprintf("%c %s", frames[p.frame%len(frames)], p.text())
}

func (p *progress) text() string {
	text := p.what
	if len(p.items) > 0 {
		text += " " + strings.Join(p.items, ", ")
	}
	return text + ui.Faint.Sprint(fmt.Sprintf(" %.0fs", time.Since(p.began).Seconds()))
}
