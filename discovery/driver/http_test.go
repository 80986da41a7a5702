package driver_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/driver"
)

func TestRead(t *testing.T) {
	read := func(code int, body io.Reader) ([]byte, error) {
		return driver.Read(&http.Response{StatusCode: code, Body: io.NopCloser(body)}, "Consul")
	}
	if body, err := read(204, strings.NewReader("hello")); string(body) != "hello" || err != nil {
		t.Error(string(body), err)
	}
	_, err := read(403, strings.NewReader(" no \n"))
	var status *driver.StatusError
	if !errors.As(fmt.Errorf("GET /: %w", err), &status) || driver.StatusOf(err) != 403 || driver.StatusOf(io.EOF) != 0 {
		t.Fatal(err)
	}
	status.Hint = "ask"
	if err.Error() != "Consul answers 403 Forbidden: no (ask)" {
		t.Error(err)
	}
	if _, err := read(500, strings.NewReader(strings.Repeat("ü", 9999))); len(err.Error()) > 400 || !strings.HasSuffix(err.Error(), "ü…") {
		t.Error(err)
	}
	if _, err := read(200, io.LimitReader(zeros{}, 65<<20)); err == nil || !strings.Contains(err.Error(), "more than 64 MiB") {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestOutage(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	o := driver.Outage{Engine: "Consul", Log: logger}
	refused := &driver.StatusError{Engine: "Consul", Code: 403}
	for n, err := range []error{io.EOF, io.EOF, refused, refused, io.EOF} {
		if got := o.Failed(err); got != n+1 {
			t.Errorf("%d failures, want %d", got, n+1)
		}
	}
	if first, second := o.Over(), o.Over(); !first || second {
		t.Error(first, second)
	}
	var ignored driver.Ignored
	for range 3 {
		ignored.Warn(logger, "ignored", map[string]error{"a": io.EOF})
	}
	ignored.Warn(logger, "ignored", map[string]error{"a": io.ErrUnexpectedEOF, "b": io.EOF})
	if n := strings.Count(log.String(), "\n"); n != 6 {
		t.Errorf("%d lines, want two of the outage, its end, and three of what is ignored:\n%s", n, &log)
	}
}

func TestBackoff(t *testing.T) {
	for failures, most := range []time.Duration{100 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 500 * time.Millisecond} {
		for range 100 {
			if d := driver.Backoff(failures, 500*time.Millisecond); d < most/2 || d > most {
				t.Errorf("%v after %d failures, want %v to %v", d, failures, most/2, most)
			}
		}
	}
	if d := driver.Backoff(1, 10*time.Millisecond); d > 10*time.Millisecond {
		t.Errorf("%v, want no more than the most", d)
	}
	if d := driver.Jitter(time.Second); d < time.Second/2 || d > time.Second {
		t.Error(d)
	}
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		d := driver.Pace(8 * time.Second)
		least, most = min(least, d), max(most, d)
	}
	if least < 7*time.Second || least > 7100*time.Millisecond || most > 8*time.Second || most < 7900*time.Millisecond || driver.Pace(1) != 1 {
		t.Errorf("from %v to %v, want 7 s to 8 s", least, most)
	}
}
