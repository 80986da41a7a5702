package hanse

import (
	"io"
	"log/slog"
	"math"
	"os"
	"time"

	"github.com/hanse-go/hanse/telemetry"
	"github.com/lmittmann/tint"
)

// Formats of what a program logs.
const (
	logAuto = ""     // in colours on a terminal, else text
	logText = "text" // key=value
	logJSON = "json"
)

// setLogLevels sets what was said of levels. Without a word it is info, and with a logger of the program's own that logger's affair.
func (v *values) setLogLevels() {
	if v.app.Logger == nil {
		v.app.levels.Set("", slog.LevelInfo)
	}
	for _, text := range v.logLevels {
		_ = v.app.levels.Parse(text) // it was checked when it was said
	}
}

// newLogger returns the logger of a program. Which levels it takes is up to the app's, which change while it runs.
func (v *values) newLogger(w io.Writer) *slog.Logger {
	var h slog.Handler
	switch {
	case v.logFormat == logJSON:
		h = slog.NewJSONHandler(w, &slog.HandlerOptions{Level: everyLevel, ReplaceAttr: readable})
	case v.logFormat == logAuto && isTerminal(w):
		h = newTerminalHandler(w, os.Getenv("NO_COLOR") != "")
	default:
		h = slog.NewTextHandler(w, &slog.HandlerOptions{Level: everyLevel})
	}
	return slog.New(v.app.levels.Handler("", (*telemetry.Service)(nil).Logs(h)))
}

const everyLevel slog.Level = math.MinInt32

// readable writes durations as text does, such as 1.5s: JSON's own are numbers of nanoseconds.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// newTerminalHandler writes for people. They see the first digits of a trace's ID, which suffice to look for it, and no instance: there is
// one.
func newTerminalHandler(w io.Writer, plain bool) slog.Handler {
	const red, grey = 9, 8
	colour := func(colour uint8, a slog.Attr) slog.Attr {
		if plain {
			return a
		}
		return tint.Attr(colour, a)
	}
	return tint.NewTextHandler(w, &tint.Options{Level: everyLevel, TimeFormat: time.TimeOnly, NoColor: plain,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			switch {
			case len(groups) > 0:
			case a.Key == telemetry.LogTraceID:
				id := a.Value.String()
				return colour(grey, slog.String("trace", id[:min(8, len(id))]))
			case a.Key == telemetry.LogSpanID, a.Key == logInstance:
				return slog.Attr{}
			case a.Key == "error" || a.Key == "err":
				return colour(red, a)
			}
			return a
		}})
}

// Keys of attributes in what services log.
const (
	logService  = "service"
	logInstance = "instance"
)

// serviceLogger returns the logger of a service: what it says goes where the app's goes, with the names of the service and the instance,
// from the service's own level on.
func (a *App) serviceLogger(s *telemetry.Service, name, instance string) *slog.Logger {
	h := a.logger().Handler().WithAttrs([]slog.Attr{slog.String(logService, name), slog.String(logInstance, instance)})
	return slog.New(a.levels.Handler(name, s.Logs(h)))
}
