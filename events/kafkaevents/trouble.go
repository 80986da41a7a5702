package kafkaevents

import (
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// trouble logs when a broker goes away and when it is back, once for all clients.
type trouble struct {
	log *slog.Logger

	mu   sync.Mutex
	away map[string]time.Time // since when, by address
}

func newTrouble(log *slog.Logger) *trouble {
	return &trouble{log: log, away: make(map[string]time.Time)}
}

var _ kgo.HookBrokerConnect = (*trouble)(nil)

// OnBrokerConnect implements [kgo.HookBrokerConnect].
func (t *trouble) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	addr := net.JoinHostPort(meta.Host, strconv.Itoa(int(meta.Port)))
	t.mu.Lock()
	defer t.mu.Unlock()
	since, away := t.away[addr]
	switch {
	case err == nil && away:
		delete(t.away, addr)
		t.log.Info("events: a broker is back", "broker", addr, "after", time.Since(since).Round(time.Millisecond))
	case err != nil && !away && isDial(err):
		t.away[addr] = time.Now()
		t.log.Warn("events: a broker cannot be reached; trying on", "broker", addr, "error", err)
	}
}

// isDial says whether an error is that of a connection.
func isDial(err error) bool {
	var e net.Error
	return errors.As(err, &e)
}
