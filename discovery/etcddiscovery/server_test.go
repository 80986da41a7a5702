//go:build unix

package etcddiscovery_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
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
	cluster string // NAME=URL of peers, with commas
	running *process
}

// process is a child that dies with the test, however that ends: a shell waits for the end of its input, and kills it.
type process struct {
	shell *exec.Cmd
	stdin io.Closer
	pid   int
}

// startServer starts an etcd that ends with the test.
func startServer(t testing.TB) *server {
	t.Helper()
	s := newServer(t)
	s.start()
	return s
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
	s := &server{t: t, name: "alone", dir: t.TempDir(), address: freeAddress(t), peers: freeAddress(t)}
	s.cluster = s.name + "=http://" + s.peers
	t.Cleanup(s.kill)
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

// start starts etcd with what its folder holds, and returns when it answers.
func (s *server) start() {
	s.t.Helper()
	s.launch()
	s.await()
}

func (s *server) launch() {
	s.t.Helper()
	peers := "http://" + s.peers
	shell := exec.Command("sh", "-c", `"$@" >&2 & echo $!; read _; kill -9 $! 2>/dev/null; wait`, "sh",
		"etcd", "--name", s.name, "--data-dir", filepath.Join(s.dir, "data"), "--log-level", "error", "--log-outputs", "stderr",
		"--listen-client-urls", "http://"+s.address, "--advertise-client-urls", "http://"+s.address,
		"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", s.cluster)
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	shell.Stderr = log
	stdin, err := shell.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	stdout, err := shell.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		s.t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		s.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		s.t.Fatal(err)
	}
	s.running = &process{shell: shell, stdin: stdin, pid: pid}
}

func (s *server) await() {
	s.t.Helper()
	client := newClient(s.t, s.address)
	defer client.Close()
	eventually(s.t, "etcd answers", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := client.Get(ctx, "x")
		if err != nil {
			client.ActiveConnection().ResetConnectBackoff()
		}
		return err == nil || strings.Contains(err.Error(), "user name is empty")
	})
}

// kill ends etcd as a crash does.
func (s *server) kill() {
	if s.running == nil {
		return
	}
	if err := syscall.Kill(s.running.pid, syscall.SIGKILL); err != nil {
		s.t.Errorf("kill etcd: %v", err)
	}
	_ = s.running.stdin.Close()
	_ = s.running.shell.Wait() // its status is that of a kill of what is dead
	if text, err := os.ReadFile(filepath.Join(s.dir, "log")); s.t.Failed() && err == nil {
		s.t.Logf("etcd's log:\n%s", text)
	}
	s.running = nil
}

// wipe removes all that the etcd, which must not run, has kept.
func (s *server) wipe() {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.dir, "data")); err != nil {
		s.t.Fatal(err)
	}
}

// client returns a client that is closed with the test.
func (s *server) client() *clientv3.Client {
	client := newClient(s.t, s.address)
	s.t.Cleanup(func() { client.Close() })
	return client
}

// registry returns a handle of a system's registry, with a client of its own.
func (s *server) registry(opts etcddiscovery.Options) *etcddiscovery.Registry {
	return etcddiscovery.New(s.client(), logged(s.t, opts))
}

func newClient(t testing.TB, addresses ...string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: addresses, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// logged has the registry log to the test.
func logged(t testing.TB, opts etcddiscovery.Options) etcddiscovery.Options {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	return opts
}

// freeAddress returns an address that is free now and stays free while a server is down: its port is below those that the system gives to
// connections, one of which would else have it when the server comes back.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		lis, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.N(10000)))
		if err != nil {
			continue // it is taken
		}
		defer lis.Close()
		return lis.Addr().String()
	}
	t.Fatal("no port is free")
	return ""
}

// eventually looks until ok holds, which is up to another process.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in 30 s: %s", what)
		}
	}
}

// gate is a TCP proxy that can be shut.
type gate struct {
	lis    net.Listener
	target string
	mu     sync.Mutex
	shut   bool
	conns  map[net.Conn]struct{}
	wg     sync.WaitGroup
}

func newGate(t testing.TB, target string) *gate {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{lis: lis, target: target, conns: make(map[net.Conn]struct{})}
	g.wg.Go(g.accept)
	t.Cleanup(func() {
		lis.Close()
		g.set(true)
		g.wg.Wait()
	})
	return g
}

func (g *gate) accept() {
	for {
		in, err := g.lis.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", g.target)
		if err != nil || !g.add(in, out) {
			in.Close()
			if out != nil {
				out.Close()
			}
			continue
		}
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			g.wg.Go(func() {
				_, _ = io.Copy(pair[0], pair[1])
				in.Close()
				out.Close()
			})
		}
	}
}

func (g *gate) add(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range conns {
		g.conns[c] = struct{}{}
	}
	return !g.shut
}

// set shuts the gate, and breaks what goes through it, or opens it.
func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	if shut {
		for c := range g.conns {
			c.Close()
		}
		clear(g.conns)
	}
}

func instance(service, id string, state discovery.State) discovery.Instance {
	return discovery.Instance{Service: service, ID: id, State: state, Endpoints: []string{"tcp://127.0.0.1:8443"}}
}

// states returns a condition: exactly these instances are there, in these states.
func states(want string) func([]discovery.Instance) bool {
	return func(l []discovery.Instance) bool { return format(l) == want }
}

func format(l []discovery.Instance) string {
	var all []string
	for _, inst := range l {
		all = append(all, fmt.Sprintf("%s %s", inst.ID, inst.State))
	}
	return strings.Join(all, ", ")
}

// register announces an instance until the test ends.
func register(t testing.TB, reg discovery.Registrar, inst discovery.Instance) discovery.Lease {
	t.Helper()
	lease, err := reg.Register(t.Context(), inst)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lease.Close() }) // the server may be gone
	return lease
}

// lockedLog is a log that can be read while it is written.
type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lockedLog) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
