package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hanse-go/hanse/telemetry/filter"
)

// LogLevels says from which level on the services of a process log, and may say otherwise at any time. The zero value says nothing:
// then it is the logger's own affair. It is safe for concurrent use, and must not be copied.
type LogLevels struct {
	mu  sync.Mutex
	set atomic.Pointer[map[string]slog.Level] // replaced, never changed; "" is for all that are not in it
}

// Set makes records of a service count from a level on, and for "" those of all services that have no level of their own.
func (l *LogLevels) Set(service string, level slog.Level) {
	l.change(func(all map[string]slog.Level) { all[service] = level })
}

// Reset takes back what was said of a service: it has the level of all. For "" nothing is said of all any more.
func (l *LogLevels) Reset(service string) {
	l.change(func(all map[string]slog.Level) { delete(all, service) })
}

func (l *LogLevels) change(f func(map[string]slog.Level)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]slog.Level)
	if now := l.set.Load(); now != nil {
		maps.Copy(all, *now)
	}
	f(all)
	l.set.Store(&all)
}

// Level returns the level from which on a service logs, and false where nothing was said.
func (l *LogLevels) Level(service string) (slog.Level, bool) {
	all := l.set.Load()
	if all == nil {
		return 0, false
	}
	if level, ok := (*all)[service]; ok {
		return level, true
	}
	level, ok := (*all)[""]
	return level, ok
}

// Parse sets what a text says, such as "info" or "cart=debug,payment=warn,info": levels of services, and the level of all others. The error
// says what is wrong; then nothing is set.
func (l *LogLevels) Parse(text string) error {
	said := make(map[string]slog.Level)
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		service, name, ok := strings.Cut(part, "=")
		if !ok {
			service, name = "", part
		} else if service = strings.TrimSpace(service); service == "" {
			return fmt.Errorf("%q names no service: write cart=debug", part)
		}
		level, err := filter.ParseLevel(strings.TrimSpace(name))
		if err != nil {
			return err
		}
		if _, again := said[service]; again {
			return fmt.Errorf("%q says it twice", text)
		}
		said[service] = level
	}
	l.change(func(all map[string]slog.Level) { maps.Copy(all, said) })
	return nil
}

// String is what was said, as [LogLevels.Parse] reads it; "" is nothing.
func (l *LogLevels) String() string {
	all := l.set.Load()
	if all == nil {
		return ""
	}
	var parts []string
	for _, service := range slices.Sorted(maps.Keys(*all)) {
		if level := strings.ToLower((*all)[service].String()); service != "" {
			parts = append(parts, service+"="+level)
		} else {
			parts = append(parts, level)
		}
	}
	return strings.Join(parts, ",")
}

// Handler returns a handler that passes to next what a service logs from its level on; for the name "" that is the level of all. A handler
// that is one already changes its service and its levels: nothing has to pass two.
func (l *LogLevels) Handler(service string, next slog.Handler) slog.Handler {
	if h, ok := next.(*levelHandler); ok {
		next = h.next
	}
	return &levelHandler{levels: l, service: service, next: next}
}

type levelHandler struct {
	levels  *LogLevels
	service string
	next    slog.Handler
}

func (h *levelHandler) Enabled(ctx context.Context, level slog.Level) bool {
	if from, ok := h.levels.Level(h.service); ok && level < from {
		return false
	}
	return h.next.Enabled(ctx, level)
}

func (h *levelHandler) Handle(ctx context.Context, r slog.Record) error { return h.next.Handle(ctx, r) }

func (h *levelHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &levelHandler{h.levels, h.service, h.next.WithAttrs(attrs)}
}

func (h *levelHandler) WithGroup(name string) slog.Handler {
	return &levelHandler{h.levels, h.service, h.next.WithGroup(name)}
}
