package outbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/outbox"
)

// child is what a process of the test is told.
type child struct {
	Driver, Source, Broker string
	Lease                  time.Duration
}

const childVariable = "HANSE_OUTBOX_TEST_CHILD"

// childMain is the main function of a child: it runs a relay until it is killed, or its parent ends. It reports false in the parent.
func childMain() bool {
	text := os.Getenv(childVariable)
	if text == "" {
		return false
	}
	var c child
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		err = c.run()
	}
	fmt.Fprintln(os.Stderr, "child:", err)
	os.Exit(1)
	return true
}

func (c child) run() error {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	db, err := database{driver: c.Driver, source: c.Source}.pool()
	if err != nil {
		return err
	}
	bus := &events.Bus{Broker: &remoteBroker{url: c.Broker}, Source: "hanse:///orders"}
	text.Declare(bus)
	return (&outbox.Relay{DB: db, Batch: 16, Lease: c.Lease, Logger: slog.New(slog.DiscardHandler)}).Run(context.Background(), bus)
}

// process is a child that runs.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

func (c child) start(t *testing.T) *process {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// kill ends a process as kill -9 does.
func (p *process) kill() {
	if p.stdin == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // its status is that of the kill
	p.stdin.Close()
	p.stdin = nil
}

// remoteBroker is the publishing half of a broker in another process.
type remoteBroker struct {
	events.Broker
	url string
}

func (b *remoteBroker) Declare(context.Context, events.TopicInfo) error { return nil }

func (b *remoteBroker) Publish(ctx context.Context, topic string, m *events.Message, done func(error)) {
	go func() { done(b.post(ctx, m)) }()
}

func (b *remoteBroker) post(ctx context.Context, m *events.Message) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// serve takes what remote brokers publish.
func (b *recorder) serve(t *testing.T) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m events.Message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest) // its sender was killed
			return
		}
		b.Publish(r.Context(), "text", &m, func(err error) {
			if err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
			}
		})
		<-time.After(time.Duration(rand.IntN(20)) * time.Millisecond) // in which the sender may be killed
	}))
	t.Cleanup(server.Close)
	return server.URL
}
