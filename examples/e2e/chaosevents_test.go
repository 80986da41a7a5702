//go:build unix

package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/examples/e2e/tally"
)

// chaosEvents selects the long form of TestChaosEvents.
var chaosEvents = os.Getenv("HANSE_E2E") == "chaos-events"

// eventFaults are what TestChaosEvents does to events.
var eventFaults = []struct {
	name  string
	short bool // a part of the short form
	do    func(t *testing.T, v *verdict)
}{
	{"publisher, writer, relay, handlers and broker are killed, each every 6 s", true, chaosEventsKill},
	{"the broker is away, killed", true, chaosEventsKilled},
	{"the broker is away, stopped (SIGSTOP)", false, chaosEventsStopped},
	{"events that always fail", true, chaosEventsPoison},
	{"handlers take longer than AckWait", false, chaosEventsSlow},
	{"a topic is full", true, chaosEventsTopicFull},
	{"the broker has stored as much as it may", false, chaosEventsStoreFull},
	{"the broker's disk is full", false, chaosEventsDiskFull},
	{"handlers are scaled 1 → 4 → 1", true, chaosEventsScale},
	{"one node of three is killed and wiped", false, chaosEventsWiped},
	{"the leader of three nodes is stopped (SIGSTOP)", false, chaosEventsLeaderStopped},
}

// TestChaosEvents does to publishers, handlers and brokers what happens to them, under load, and prints what became of the events.
func TestChaosEvents(t *testing.T) {
	if (full || chaos) && !chaosEvents {
		t.Skip("make chaos-events runs it")
	}
	var all table
	for _, f := range eventFaults {
		if chaosEvents || f.short {
			all.try(t, f.name, f.do)
		}
	}
	all.print(t)
}

// long chooses between the durations of the two forms.
func long(long, short time.Duration) time.Duration {
	if chaosEvents {
		return long
	}
	return short
}

// judge says what became of marks.
func (v *verdict) judge(o outcome, allowAgain bool) {
	v.t.Helper()
	v.hold(len(o.lost) == 0 && o.acknowledged > 0, "every acknowledged event is handled", "%d of %d lost%s", len(o.lost), o.acknowledged, some(o.lost))
	v.hold(len(o.reordered) == 0, "in the order of its key", "%d of %d out of order%s", len(o.reordered), o.handled, some(o.reordered))
	if !allowAgain {
		v.hold(len(o.doubled) == 0, "and once", "%d of %d twice%s", len(o.doubled), o.handled, some(o.doubled))
	}
}

// hub is a broker: a process of hanse hub, which a test can kill and start again.
type hub struct {
	t       *testing.T
	dir     string
	address string
	token   string
	health  string   // where it says whether it is ready
	wrap    []string // the command that runs it where its folder is
	args    []string
	process *program
}

// newHub returns one that does not run yet.
func newHub(t *testing.T, args ...string) *hub {
	t.Helper()
	h := &hub{t: t, dir: t.TempDir(), address: quietAddress(t), args: args}
	h.token = filepath.Join(h.dir, "token")
	if err := os.WriteFile(h.token, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

// start runs it on what it has kept, and returns when it takes connections.
func (h *hub) start() {
	h.t.Helper()
	command := append(append([]string{}, h.wrap...), "hanse", "hub", "--system", "tally", "--addr", h.address, "--dir", filepath.Join(h.dir, "data"),
		"--token-file", h.token, "--log-level", "warn", "--drain", "1s")
	command = append(command, h.args...)
	h.process = run(h.t, command[0], nil, command[1:]...)
	if !h.process.says("✓ hub of", patience) {
		h.t.Fatalf("hanse hub does not run:\n%s", h.process.out.String())
	}
}

func (h *hub) url() string { return "nats://" + h.address + "?token-file=" + h.token }

// kill ends a process as a crash does.
func (p *program) kill(t *testing.T) {
	t.Helper()
	signal(t, p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.exited
}

// freeze stops a process until thaw, or the end of the test.
func (p *program) freeze(t *testing.T) (thaw func()) {
	t.Helper()
	signal(t, p.cmd.Process.Pid, syscall.SIGSTOP)
	thaw = sync.OnceFunc(func() { signal(t, p.cmd.Process.Pid, syscall.SIGCONT) })
	t.Cleanup(thaw)
	return thaw
}

// tallyman starts a program with one of the services of that.
func tallyman(t *testing.T, url, service string, env map[string]string) *program {
	t.Helper()
	all := map[string]string{
		"HANSE_BACKPLANE": url, "HANSE_SYSTEM": "tally", "HANSE_SERVICES": service, "HANSE_LOG_LEVEL": "warn",
		"HANSE_REGISTRY": "local:" + filepath.Join(home, "run", "tally"),
	}
	for name, value := range env {
		all[name] = value
	}
	return run(t, filepath.Join(home, "bin", "tallyman"), all)
}

// client is a service of the test's own process.
type client struct {
	*hanse.Service
	leave func() // drains it
}

// join runs a client of a broker until the test ends.
func join(t *testing.T, name, url string, setUp func(s *hanse.Service)) *client {
	t.Helper()
	c := &client{Service: &hanse.Service{Name: name, Setup: func(_ context.Context, s *hanse.Service) error {
		setUp(s)
		return nil
	}}}
	var log output
	app := &hanse.App{
		System: "tally", Backplane: hanse.NATS(url), Registry: new(discovery.Memory),
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx, c.Service) }()
	c.leave = sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if t.Failed() {
			t.Logf("%s:\n%s", name, log.String())
		}
	})
	t.Cleanup(c.leave)
	return c
}

// ledger is what a load was told of its events.
type ledger struct {
	mu           sync.Mutex
	acknowledged []tally.Mark
	times        []time.Time // when each of them was
	slowest      time.Duration
	failed       []failure
}

// failure is an event that is not known to be stored.
type failure struct {
	at   time.Time
	took time.Duration
	err  error
}

func (l *ledger) settled(m tally.Mark, took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failed = append(l.failed, failure{time.Now(), took, err})
		return
	}
	l.acknowledged = append(l.acknowledged, m)
	l.times = append(l.times, time.Now())
	l.slowest = max(l.slowest, took)
}

// counts returns how many were acknowledged, and how many failed.
func (l *ledger) counts() (acknowledged, failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acknowledged), len(l.failed)
}

// failures returns what failed.
func (l *ledger) failures() []failure {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]failure{}, l.failed...)
}

// marks returns what was acknowledged.
func (l *ledger) marks() []tally.Mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]tally.Mark{}, l.acknowledged...)
}

// since says when the first event after a moment was acknowledged; zero: none was.
func (l *ledger) since(moment time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, at := range l.times {
		if at.After(moment) {
			return at
		}
	}
	return time.Time{}
}

// publish publishes marks from the test's own process until end.
func publish(t *testing.T, host events.Host, load tally.Load) (l *ledger, end func()) {
	t.Helper()
	l = new(ledger)
	load.Settled = l.settled
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { load.Run(ctx, host) })
	end = func() {
		stop()
		running.Wait()
	}
	t.Cleanup(end)
	return l, end
}

// book reads a book of the programs.
func book(t *testing.T, path string) []tally.Entry {
	t.Helper()
	all, err := tally.ReadBook(path)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// awaitHandled waits until all of the marks were handled, or for as long as that may take, and returns what was handled.
func awaitHandled(t *testing.T, acknowledged []tally.Mark, handled func() []tally.Mark) (all []tally.Mark, took time.Duration) {
	t.Helper()
	began := time.Now()
	for {
		all = handled()
		if len(judge(acknowledged, all).lost) == 0 || time.Since(began) > patience {
			return all, time.Since(began)
		}
		wait(50 * time.Millisecond)
	}
}

// fromBook reads what programs handled.
func fromBook(t *testing.T, path string) func() []tally.Mark {
	return func() []tally.Mark { return marksOf(book(t, path)) }
}

// handled collects what is handled in the test's own process.
type handled struct {
	mu    sync.Mutex
	marks []tally.Mark
}

// subscribe has the marks of a topic handled.
func (h *handled) subscribe(s *hanse.Service, topic *events.Topic[tally.Text]) {
	topic.Subscribe(s, tally.Group, func(_ context.Context, e *events.Event[tally.Text]) error {
		m, err := tally.Parse(e.Data.GetValue())
		if err != nil {
			return events.Permanent(err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.marks = append(h.marks, m)
		return nil
	}, events.Start{All: true})
}

func (h *handled) all() []tally.Mark {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]tally.Mark{}, h.marks...)
}

// why shows an error in a cell.
func why(err error) string {
	if err == nil {
		return "no error"
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	if r := []rune(text); len(r) > 140 {
		text = string(r[:140]) + "…"
	}
	return fmt.Sprintf("%q", text)
}
