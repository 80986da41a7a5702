package filter

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/hanse-go/hanse/internal/nearest"
)

// Levels beside those of package slog, at the distances that OpenTelemetry's severities have.
const (
	LevelTrace slog.Level = slog.LevelDebug - 4
	LevelFatal slog.Level = slog.LevelError + 4
)

var levelNames = []string{"trace", "debug", "info", "warn", "error", "fatal"}

// ParseLevel reads a level as people and programs write it: a name in any capitals, with a distance or without, such as warn, WARN+1
// and DEBUG-2. Warning, err, critical and panic are known, too.
func ParseLevel(text string) (slog.Level, error) {
	name := strings.ToLower(text)
	var distance int
	if i := strings.IndexAny(name, "+-"); i > 0 {
		n, err := strconv.Atoi(name[i:])
		if err != nil || n > 100 || n < -100 {
			return 0, fmt.Errorf("%q is no level: %q is no distance", text, text[i:])
		}
		name, distance = name[:i], n
	}
	var l slog.Level
	switch name {
	case "trace":
		l = LevelTrace
	case "debug":
		l = slog.LevelDebug
	case "info", "information", "notice":
		l = slog.LevelInfo
	case "warn", "warning":
		l = slog.LevelWarn
	case "error", "err":
		l = slog.LevelError
	case "fatal", "critical", "panic":
		l = LevelFatal
	default:
		if meant := nearest.Name(name, levelNames); meant != "" {
			return 0, fmt.Errorf("no level %q: did you mean %s?", text, meant)
		}
		return 0, fmt.Errorf("no level %q: there are %s", text, strings.Join(levelNames, ", "))
	}
	return l + slog.Level(distance), nil
}
