package redisevents_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/eventstest"
	"github.com/hanse-go/hanse/events/redisevents"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{}) // servers that are away are what is tested
	if address := os.Getenv("REDISEVENTS_TEST_MEMBER"); address != "" {
		beMember(address)
	}
	goleak.VerifyTestMain(m)
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// server is a real Redis, a child process on a port of its own.
type server struct {
	t       testing.TB
	address string
	dir     string
	flags   []string
	running *discoverytest.Process
}

// durable are the settings with which an event that was acknowledged is on the disk.
var durable = []string{"--appendonly", "yes", "--appendfsync", "always", "--save", ""}

// newServer returns a Redis that does not run yet.
func newServer(t testing.TB, flags ...string) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("HANSE_ENGINES") != "" {
			t.Fatal(err)
		}
		t.Skip("there is no redis-server on this machine: make engines installs it")
	}
	s := &server{t: t, address: discoverytest.FreeAddress(t), dir: t.TempDir(), flags: flags}
	t.Cleanup(func() { s.running.Kill() })
	return s
}

func startServer(t testing.TB, flags ...string) *server {
	t.Helper()
	s := newServer(t, append(durable, flags...)...)
	s.start()
	return s
}

func (s *server) start() {
	s.t.Helper()
	s.launch()
	s.await()
}

func (s *server) launch() {
	s.t.Helper()
	host, port, _ := cut(s.address)
	s.running = discoverytest.StartProcess(s.t, filepath.Join(s.dir, "log"), append([]string{
		"redis-server", "--bind", host, "--port", port, "--dir", s.dir, "--daemonize", "no", "--logfile", "", "--loglevel", "warning",
	}, s.flags...)...)
}

func (s *server) await() {
	s.t.Helper()
	c := redis.NewClient(s.options())
	defer c.Close()
	discoverytest.Eventually(s.t, "Redis answers", func() bool {
		err := c.Ping(s.t.Context()).Err()
		return err == nil || redis.HasErrorPrefix(err, "NOAUTH")
	})
}

func (s *server) options() *redis.Options {
	return &redis.Options{Addr: s.address, MaxRetries: -1, DialerRetries: 1, DialTimeout: time.Second}
}

// client returns a client that is closed with the test.
func (s *server) client() *redis.Client {
	c := redis.NewClient(s.options())
	s.t.Cleanup(func() { c.Close() })
	return c
}

// broker returns one with a client of its own, which is closed at the end of the test.
func (s *server) broker(opts ...func(*redisevents.Options)) *redisevents.Broker {
	return newBroker(s.t, s.client(), opts...)
}

func newBroker(t testing.TB, c redis.UniversalClient, opts ...func(*redisevents.Options)) *redisevents.Broker {
	o := redisevents.Options{System: "test", Lease: 2 * time.Second, Logger: slog.New(slog.DiscardHandler)}
	for _, opt := range opts {
		opt(&o)
	}
	b := redisevents.New(c, o)
	t.Cleanup(b.Close)
	return b
}

func cut(address string) (host, port string, err error) { return net.SplitHostPort(address) }

func inSystem(name string) func(*redisevents.Options) {
	return func(o *redisevents.Options) { o.System = name }
}

// full says whether the long forms of tests are wanted.
func full() bool { return os.Getenv("HANSE_ENGINES") != "" }

func ackWait() time.Duration {
	if full() {
		return 2 * time.Second
	}
	return time.Second
}

// declared returns a broker with a topic.
func (s *server) declared(topic string, opts ...func(*redisevents.Options)) *redisevents.Broker {
	s.t.Helper()
	b := s.broker(opts...)
	if err := b.Declare(eventstest.Within(s.t, 20*time.Second), eventstest.Topic(topic)); err != nil {
		s.t.Fatal(err)
	}
	return b
}

// subscribe joins a group that begins with the first event. The source is closed at the end of the test.
func subscribe(t testing.TB, b events.Broker, topic, group, member string, change ...func(*events.SubscriptionInfo)) events.Source {
	t.Helper()
	info := events.SubscriptionInfo{Topic: topic, Group: group, Member: member, AckWait: 20 * time.Second, MaxInFlight: 1000, Start: events.Start{All: true}}
	for _, c := range change {
		c(&info)
	}
	s, err := b.Subscribe(eventstest.Within(t, 20*time.Second), info)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(eventstest.Within(t, 10*time.Second)); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}
