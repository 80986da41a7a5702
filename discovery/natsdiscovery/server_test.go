//go:build unix

package natsdiscovery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/natsdiscovery"
	"github.com/hanse-go/hanse/embednats"
	"github.com/hanse-go/hanse/hansetest/registrytest"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
)

// serverVariable has the test's own binary be a server of NATS; its value is a [serverSettings].
const serverVariable = "NATSDISCOVERY_SERVER"

type serverSettings struct {
	Dir, Addr, Cluster string
	Peers              []string
}

func TestMain(m *testing.M) {
	if text := os.Getenv(serverVariable); text != "" {
		if err := serve(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if registrytest.Program(discovery.Schemes{"nats": open}) {
		return
	}
	goleak.VerifyTestMain(m)
}

// serve runs a server until it is killed.
func serve(text string) error {
	var set serverSettings
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		return err
	}
	s := &embednats.Server{Dir: set.Dir, Addr: set.Addr, Token: token}
	if set.Cluster != "" {
		s.Cluster = &embednats.Cluster{Addr: set.Cluster, Peers: set.Peers}
	}
	return s.Run(context.Background())
}

const token = "sesame"

// open returns the registry of nats://HOST,HOST/SYSTEM, for programs under test.
func open(url string) (discovery.Registry, error) {
	hosts, system, _ := strings.Cut(strings.TrimPrefix(url, "nats://"), "/")
	nc, err := dial(strings.Split(hosts, ",")...)
	if err != nil {
		return nil, err
	}
	return natsdiscovery.New(nc, natsdiscovery.Options{System: system}), nil
}

// dial returns a connection that is made again for ever.
func dial(addresses ...string) (*nats.Conn, error) {
	return nats.Connect(strings.Join(addresses, ","), nats.Token(token), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(100*time.Millisecond), nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond),
		nats.PingInterval(time.Second), nats.DontRandomize())
}

// server is a real server of NATS, a child process.
type server struct {
	t       testing.TB
	dir     string
	address string
	cluster string
	peers   []string
	running *discoverytest.Process
}

var engine = discoverytest.Engine{
	New: func(t testing.TB) discoverytest.Server { return newServer(t) },
	NewCluster: func(t testing.TB) (all []discoverytest.Server) {
		for _, s := range startCluster(t) {
			all = append(all, s)
		}
		return all
	},
	Advice: "is NATS running and reached from here, with JetStream and a leader, and may this user do it? Try: nats account info --server ",
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), address: discoverytest.FreeAddress(t)}
	t.Cleanup(s.Kill)
	return s
}

func startCluster(t testing.TB) (members []*server) {
	t.Helper()
	var peers []string
	for range 3 {
		s := newServer(t)
		s.cluster = discoverytest.FreeAddress(t)
		members, peers = append(members, s), append(peers, s.cluster)
	}
	for _, s := range members {
		s.peers = peers
		s.launch()
	}
	for _, s := range members {
		s.await()
	}
	return members
}

func (s *server) Address() string { return s.address }

func (s *server) Start() {
	s.t.Helper()
	s.launch()
	s.await()
}

func (s *server) launch() {
	s.t.Helper()
	set, err := json.Marshal(serverSettings{Dir: filepath.Join(s.dir, "data"), Addr: s.address, Cluster: s.cluster, Peers: s.peers})
	if err != nil {
		s.t.Fatal(err)
	}
	s.running = discoverytest.StartProcess(s.t, filepath.Join(s.dir, "log"), "env", serverVariable+"="+string(set), os.Args[0])
}

// await returns when the server answers; one of a cluster, when the cluster does.
func (s *server) await() {
	s.t.Helper()
	discoverytest.Eventually(s.t, "NATS answers", func() bool {
		nc, err := nats.Connect(s.address, nats.Token(token), nats.Timeout(time.Second))
		if err != nil {
			return false
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			return false
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err = js.AccountInfo(ctx)
		return err == nil && s.caughtUp(ctx, js)
	})
}

// name is that of a server of a cluster.
func (s *server) name() string {
	return "hanse-" + strings.NewReplacer(".", "-", ":", "-").Replace(s.cluster)
}

// caughtUp reports whether the server has what the others have, as an operator waits for before the next one is restarted.
func (s *server) caughtUp(ctx context.Context, js jetstream.JetStream) bool {
	if s.cluster == "" {
		return true
	}
	names := js.StreamNames(ctx)
	for name := range names.Name() {
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return false
		}
		info := stream.CachedInfo()
		if info.Cluster == nil || info.Cluster.Leader == "" {
			return false
		}
		current := info.Cluster.Leader == s.name() || info.Config.Replicas == 1
		for _, peer := range info.Cluster.Replicas {
			current = current || peer.Name == s.name() && peer.Current
		}
		if !current {
			return false
		}
	}
	return names.Err() == nil
}

func (s *server) Kill() { s.running.Kill() }

func (s *server) Wipe() {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.dir, "data")); err != nil {
		s.t.Fatal(err)
	}
}

// Leads implements [registrytest.Member].
func (s *server) Leads() bool {
	js, done := s.connect()
	defer done()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
	defer cancel()
	stream, err := js.Stream(ctx, "KV_shop_instances")
	if err != nil {
		return false
	}
	info := stream.CachedInfo()
	return info.Cluster != nil && info.Cluster.Leader == s.name()
}

// connect returns a connection for a moment.
func (s *server) connect() (js jetstream.JetStream, done func()) {
	s.t.Helper()
	nc, err := nats.Connect(s.address, nats.Token(token))
	if err == nil {
		js, err = jetstream.New(nc)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return js, nc.Close
}

// Open returns a handle that has a connection of its own.
func (s *server) Open(h discoverytest.Handle) discovery.Registrar {
	s.t.Helper()
	if len(h.Addresses) == 0 {
		h.Addresses = []string{s.address}
	}
	nc, err := dial(h.Addresses...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	if h.Logger == nil {
		h.Logger = slog.New(slog.NewTextHandler(s.t.Output(), nil))
	}
	return natsdiscovery.New(nc, natsdiscovery.Options{System: h.System, TTL: h.TTL, Logger: h.Logger})
}

// subject is where a record of the suite is kept.
func subject(name string) string {
	if service, ok := strings.CutPrefix(name, "splits/"); ok {
		return "$KV.default_splits." + service
	}
	return "$KV.default_instances." + strings.ReplaceAll(name, "/", ".")
}

func (s *server) Put(records map[string]string) {
	s.t.Helper()
	js, done := s.connect()
	defer done()
	s.make(js)
	var acks []jetstream.PubAckFuture
	for name, record := range records {
		ack, err := js.PublishAsync(subject(name), []byte(record))
		if err != nil {
			s.t.Fatal(err)
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			s.t.Fatal(err)
		}
	}
}

// make has a registry make its buckets.
func (s *server) make(js jetstream.JetStream) {
	s.t.Helper()
	for _, name := range []string{"KV_default_instances", "KV_default_splits"} {
		if _, err := js.Stream(s.t.Context(), name); err == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
		reg := s.Open(discoverytest.Handle{})
		var err error
		if strings.HasSuffix(name, "splits") {
			err = reg.(discovery.Splitter).WatchSplits(ctx, "", func([]discovery.Split) { cancel() })
		} else {
			err = reg.Watch(ctx, "", func([]discovery.Instance) { cancel() })
		}
		cancel()
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// Delete removes records without a word, as nats stream purge does.
func (s *server) Delete(name string) {
	s.t.Helper()
	js, done := s.connect()
	defer done()
	s.make(js)
	names := []string{"instances", "splits"}
	if name != "" {
		names = []string{name}
	}
	for _, name := range names {
		first, _, _ := strings.Cut(name, "/")
		stream, err := js.Stream(s.t.Context(), "KV_default_"+first)
		if err != nil {
			s.t.Fatal(err)
		}
		filter := subject(name) + ".>"
		if name == "splits" {
			filter = "$KV.default_splits.>"
		}
		if err := stream.Purge(s.t.Context(), jetstream.WithPurgeSubject(filter)); err != nil {
			s.t.Fatal(err)
		}
	}
}

func TestRegistry(t *testing.T) { discoverytest.RunFailures(t, engine) }

func TestOutage(t *testing.T) { registrytest.RunOutage(t, engine, "nats") }

func TestLeaderKilled(t *testing.T) { registrytest.RunLeaderKilled(t, engine, "nats") }

func TestScale(t *testing.T) { discoverytest.RunScale(t, engine) }

func BenchmarkChange(b *testing.B) { discoverytest.BenchmarkChange(b, engine) }

// An instance whose record was taken from it is back at once, and one whose ID another took by force is told.
func TestRecordTaken(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.Start()
	discoverytest.Register(t, s.Open(discoverytest.Handle{TTL: 2 * time.Second}), discoverytest.Instance("cart", "c1", discovery.Ready))
	h := discoverytest.Remember(t, s.Open(discoverytest.Handle{TTL: 2 * time.Second}), "cart")
	h.Until(t, "c1 ready")
	js, done := s.connect()
	defer done()
	kv, err := js.KeyValue(t.Context(), "default_instances") // it is what the tools of NATS know
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := kv.Delete(t.Context(), "instances.cart.c1"); err != nil {
			t.Fatal(err)
		}
		discoverytest.Eventually(t, "c1 is there again", func() bool {
			_, err := kv.Get(t.Context(), "instances.cart.c1")
			return err == nil
		})
		h.Until(t, "c1 ready")
	}
}

// A server that is there and does not answer holds nobody up for longer than it may take.
func TestSlow(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.Start()
	gate := discoverytest.NewGate(t, s.address)
	c1 := discoverytest.Register(t, s.Open(discoverytest.Handle{TTL: 2 * time.Second, Addresses: []string{gate.Address}}), discoverytest.Instance("cart", "c1", discovery.Ready))
	h := discoverytest.Remember(t, s.Open(discoverytest.Handle{TTL: 2 * time.Second, Addresses: []string{gate.Address}}), "cart")
	h.Until(t, "c1 ready")
	gate.Hold()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := c1.Update(ctx, discoverytest.Instance("cart", "c1", discovery.Draining)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Update while NATS does not answer: %v", err)
	}
	<-time.After(5 * time.Second) // the record has ended, and the watcher does not hear anything
	gate.Open()
	h.Until(t, "c1 draining")
	h.Never(t, "c1")
}

// What was asked on a connection that breaks is not waited for.
func TestBrokenWhileAsked(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.Start()
	gate := discoverytest.NewGate(t, s.address)
	var log discoverytest.Log
	handle := discoverytest.Handle{TTL: 2 * time.Second, Addresses: []string{gate.Address}, Logger: log.Logger()}
	discoverytest.Register(t, s.Open(handle), discoverytest.Instance("cart", "c1", discovery.Ready))
	gate.Hold()
	<-time.After(time.Second) // the record is put again by now, and there is no answer for up to 3 s
	gate.Shut()
	log.Await(t, "instance cannot be kept announced")
	if text := log.String(); !strings.Contains(text, "not connected") {
		t.Errorf("it waited for an answer:\n%s", text)
	}
	gate.Open()
	log.Await(t, "instance is kept announced again")
}

// The end of an outage is said at its end.
func TestReadAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var log discoverytest.Log
	discoverytest.Remember(t, s.Open(discoverytest.Handle{Logger: log.Logger()}), "cart")
	log.Await(t, "instances of cart cannot be read")
	s.Start()
	log.Await(t, "instances of cart are read again")
}
