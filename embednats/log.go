package embednats

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
)

// log has a server of NATS log to slog. What it calls a notice is of interest to who looks for an error in it.
type log struct {
	to     *slog.Logger
	fatal  chan string // gets the first reason why the server cannot run
	broken atomic.Bool // a stream stores nothing more, because of a failed write
}

// asides are what a server warns of without need: of a token that is no hash, though it is nowhere but in the settings of the process, and of
// what it has told whoever asked for its health.
var asides = []string{"Plaintext passwords detected", "Healthcheck failed"}

func (l *log) say(level slog.Level, format string, v []any) {
	if slices.ContainsFunc(asides, func(a string) bool { return strings.HasPrefix(format, a) }) {
		level = slog.LevelDebug
	}
	if ctx := context.Background(); l.to.Enabled(ctx, level) {
		l.to.LogAttrs(ctx, level, "NATS: "+fmt.Sprintf(format, v...))
	}
}

func (l *log) Noticef(format string, v ...any) { l.say(slog.LevelDebug, format, v) }
func (l *log) Warnf(format string, v ...any)   { l.say(slog.LevelWarn, format, v) }

func (l *log) Errorf(format string, v ...any) {
	if strings.Contains(format, "critical write error") {
		l.broken.Store(true)
	}
	l.say(slog.LevelError, format, v)
}

func (l *log) Debugf(string, ...any) {}
func (l *log) Tracef(string, ...any) {}

// Fatalf ends the server, and not the process.
func (l *log) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default:
	}
}
