package hanse

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/telemetry"
)

// TestTerminalLog holds what people see on a terminal, with colours and without.
func TestTerminalLog(t *testing.T) {
	lines := func(plain bool) string {
		var b strings.Builder
		log := slog.New(newTerminalHandler(&b, plain)).With(logService, "cart", logInstance, "4711")
		log.Warn("it is late", telemetry.LogTraceID, "4bf92f3577b34da6a3ce929d0e0e4736", telemetry.LogSpanID, "00f067aa0ba902b7", "error", errors.New("no way"),
			slog.Group("g", logInstance, "kept"))
		log.Info("short", telemetry.LogTraceID, "4b")
		var out []string
		for line := range strings.Lines(b.String()) {
			_, rest, _ := strings.Cut(line, " ") // the time
			out = append(out, rest)
		}
		return strings.Join(out, "")
	}
	want := `WRN it is late service=cart trace=4bf92f35 error="no way" g.instance=kept` + "\n" + `INF short service=cart trace=4b` + "\n"
	if got := lines(true); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	got := lines(false)
	for _, part := range []string{"\x1b[93mWRN\x1b[0m", "\x1b[92mINF\x1b[0m", "\x1b[2;91merror=\x1b[22m\"no way\""} {
		if !strings.Contains(got, part) {
			t.Errorf("%q has no %q", got, part)
		}
	}
	if strings.Contains(got, "4711") {
		t.Errorf("%q has the instance", got)
	}
}

func TestLogFormat(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for format, want := range map[string]string{logAuto: `msg=hi n=1s`, logText: `msg=hi n=1s`, logJSON: `"msg":"hi","n":"1s"`} {
		v := &values{app: new(App), logFormat: format, logLevels: []string{"cart=warn,debug"}}
		v.setLogLevels()
		if err := file.Truncate(0); err != nil {
			t.Fatal(err)
		}
		log := v.newLogger(file)
		log.Debug("hi", slog.Duration("n", 1e9))
		v.app.Logger = log
		v.app.serviceLogger(nil, "cart", "1").Info("not this")
		text, err := os.ReadFile(file.Name())
		if err != nil || !strings.Contains(string(text), want) || strings.Contains(string(text), "not this") {
			t.Errorf("%q writes %s, %v", format, text, err)
		}
	}
}
