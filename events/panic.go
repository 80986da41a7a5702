package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// panicked is the failure of a function that panicked.
type panicked struct {
	value any
	stack []byte
}

// newPanicked is called where the panic was recovered.
func newPanicked(value any) error { return &panicked{value, debug.Stack()} }

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// logFailure logs why a function failed and what follows, in one line: an error for a panic, with its stack, else of the level.
func logFailure(log *slog.Logger, level slog.Level, msg string, err error, args ...any) {
	args = append(args, "error", err)
	if p, ok := errors.AsType[*panicked](err); ok {
		level = slog.LevelError
		args = append(args, "stack", string(p.stack))
	}
	log.Log(context.Background(), level, msg, args...)
}

// logPanic logs a panic that nothing follows from, for what was handled is another's now.
func logPanic(log *slog.Logger, msg string, err error, args ...any) {
	if _, ok := errors.AsType[*panicked](err); ok {
		logFailure(log, slog.LevelError, msg, err, args...)
	}
}
