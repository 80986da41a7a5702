package discoverytest

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// Log keeps what is logged. The zero value is ready to use, by several goroutines.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{} // closed when there is more; nil: nobody waits
}

// Logger returns what writes to the log.
func (l *Log) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// Write implements [io.Writer].
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
	return l.text.Write(p)
}

// String returns all that was logged.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Count returns how often the log has the text.
func (l *Log) Count(text string) int { return strings.Count(l.String(), text) }

// Await returns when the log has the text. The test fails when that is not so in time.
func (l *Log) Await(t testing.TB, text string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		l.mu.Lock()
		has := strings.Contains(l.text.String(), text)
		if l.more == nil {
			l.more = make(chan struct{})
		}
		more := l.more
		l.mu.Unlock()
		if has {
			return
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("the log never says %q:\n%s", text, l)
		}
	}
}
