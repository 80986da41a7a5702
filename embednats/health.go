package embednats

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Health returns nil when the server takes and keeps messages, and otherwise why not: it does not run, JetStream is off or has not caught up
// with its cluster.
func (s *Server) Health(ctx context.Context) error {
	l := s.now()
	select {
	case <-l.over:
		return errors.New("it has ended")
	case <-l.up:
	default:
		return errors.New("it has not started")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/healthz", nil)
	if err != nil {
		return err
	}
	var answer answer
	l.server.HandleHealthz(&answer, req)
	if answer.code == 0 || answer.code == http.StatusOK {
		return nil
	}
	var status struct{ Status, Error string }
	if json.Unmarshal(answer.Bytes(), &status) == nil && status.Error != "" {
		return errors.New(status.Error)
	}
	return fmt.Errorf("health check answers %d: %s", answer.code, answer.String())
}

// answer is an [http.ResponseWriter] that keeps what is written.
type answer struct {
	bytes.Buffer
	code   int
	header http.Header
}

func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = make(http.Header)
	}
	return a.header
}

func (a *answer) WriteHeader(code int) { a.code = code }
