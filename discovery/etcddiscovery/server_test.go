//go:build unix

package etcddiscovery_test

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/etcddiscovery"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// server is a real etcd, a child process on ports of its own.
type server struct {
	t       testing.TB
	name    string
	dir     string
	address string // of clients
	peers   string
	cluster string   // NAME=URL of peers, with commas
	flags   []string // more of them
	config  clientv3.Config
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
	Advice: "is etcd running and reached from here, with the TLS that it wants? Try: etcdctl --endpoints=",
}

// newServer returns an etcd that does not run yet.
func newServer(t testing.TB) *server {
	t.Helper()
	if _, err := exec.LookPath("etcd"); err != nil {
		if os.Getenv("HANSE_ENGINES") != "" {
			t.Fatal(err)
		}
		t.Skip("there is no etcd on this machine: make engines installs it")
	}
	s := &server{t: t, name: "alone", dir: t.TempDir(), address: discoverytest.FreeAddress(t), peers: discoverytest.FreeAddress(t)}
	s.cluster = s.name + "=http://" + s.peers
	t.Cleanup(s.Kill)
	return s
}

// startServer starts an etcd that ends with the test.
func startServer(t testing.TB) *server {
	t.Helper()
	s := newServer(t)
	s.Start()
	return s
}

// startCluster starts an etcd of three members that end with the test.
func startCluster(t testing.TB) []*server {
	t.Helper()
	var members []*server
	var all []string
	for _, name := range []string{"a", "b", "c"} {
		s := newServer(t)
		s.name = name
		members, all = append(members, s), append(all, name+"=http://"+s.peers)
	}
	for _, s := range members {
		s.cluster = strings.Join(all, ",")
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
	clients, peers := s.scheme()+s.address, "http://"+s.peers
	s.running = discoverytest.StartProcess(s.t, filepath.Join(s.dir, "log"), append([]string{
		"etcd", "--name", s.name, "--data-dir", filepath.Join(s.dir, "data"), "--log-level", "error", "--log-outputs", "stderr",
		"--listen-client-urls", clients, "--advertise-client-urls", clients,
		"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", s.cluster,
	}, s.flags...)...)
}

func (s *server) scheme() string {
	if s.config.TLS != nil {
		return "https://"
	}
	return "http://"
}

func (s *server) await() {
	s.t.Helper()
	client := s.connect()
	defer client.Close()
	discoverytest.Eventually(s.t, "etcd answers", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := client.Get(ctx, "x")
		if err != nil {
			client.ActiveConnection().ResetConnectBackoff()
		}
		return err == nil || strings.Contains(err.Error(), "user name is empty")
	})
}

// Leads implements [registrytest.Member].
func (s *server) Leads() bool {
	client := s.connect()
	defer client.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
	defer cancel()
	status, err := client.Status(ctx, client.Endpoints()[0])
	return err == nil && status.Leader == status.Header.GetMemberId()
}

func (s *server) Kill() { s.running.Kill() }

func (s *server) Wipe() {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.dir, "data")); err != nil {
		s.t.Fatal(err)
	}
}

// Open returns a handle that has a client of its own.
func (s *server) Open(h discoverytest.Handle) discovery.Registrar {
	opts := etcddiscovery.Options{System: h.System, TTL: h.TTL, Logger: h.Logger}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(s.t.Output(), nil))
	}
	return etcddiscovery.New(s.client(h.Addresses...), opts)
}

func (s *server) Put(records map[string]string) {
	s.t.Helper()
	var puts []clientv3.Op
	for name, record := range records {
		puts = append(puts, clientv3.OpPut("/hanse/default/"+name, record))
	}
	client := s.connect()
	defer client.Close()
	if _, err := client.Txn(s.t.Context()).Then(puts...).Commit(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) Delete(name string) {
	s.t.Helper()
	if name != "" {
		name += "/"
	}
	client := s.connect()
	defer client.Close()
	if _, err := client.Delete(s.t.Context(), "/hanse/default/"+name, clientv3.WithPrefix()); err != nil {
		s.t.Fatal(err)
	}
}

// client returns a client that is closed with the test.
func (s *server) client(addresses ...string) *clientv3.Client {
	client := s.connect(addresses...)
	s.t.Cleanup(func() { client.Close() })
	return client
}

// connect returns a client of these addresses, or of the server's.
func (s *server) connect(addresses ...string) *clientv3.Client {
	s.t.Helper()
	config := s.config
	if config.Endpoints = addresses; len(addresses) == 0 {
		config.Endpoints = []string{s.address}
	}
	config.Logger = zap.NewNop()
	client, err := clientv3.New(config)
	if err != nil {
		s.t.Fatal(err)
	}
	return client
}
