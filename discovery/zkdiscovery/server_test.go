//go:build unix

package zkdiscovery_test

import (
	"bufio"
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

	"github.com/go-zookeeper/zk"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/zkdiscovery"
)

// server is a real ZooKeeper, a child process on a port of its own.
type server struct {
	t       testing.TB
	dir     string
	address string
	running *process
}

// process is a child that dies with the test, however that ends: a shell waits for the end of its input, and kills it.
type process struct {
	shell *exec.Cmd
	stdin io.Closer
	pid   int
}

// startServer starts a ZooKeeper that ends with the test.
func startServer(t testing.TB) *server {
	t.Helper()
	s := newServer(t)
	s.start()
	return s
}

// jar is where Debian puts ZooKeeper.
const jar = "/usr/share/java/zookeeper.jar"

// newServer returns a ZooKeeper that does not run yet.
func newServer(t testing.TB) *server {
	t.Helper()
	_, err := exec.LookPath("java")
	if err == nil {
		_, err = os.Stat(jar)
	}
	if err != nil {
		if os.Getenv("HANSE_ENGINES") != "" {
			t.Fatal(err)
		}
		t.Skip("there is no ZooKeeper on this machine: make engines installs it")
	}
	s := &server{t: t, dir: t.TempDir(), address: freeAddress(t)}
	t.Cleanup(s.kill)
	return s
}

// start starts ZooKeeper with what its folder holds, and returns when it answers.
func (s *server) start() {
	s.t.Helper()
	host, port, err := net.SplitHostPort(s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	config := fmt.Sprintf("tickTime=500\ndataDir=%s\nclientPort=%s\nclientPortAddress=%s\nadmin.enableServer=false\nmaxClientCnxns=0\n4lw.commands.whitelist=srvr\n",
		filepath.Join(s.dir, "data"), port, host)
	if err := os.WriteFile(filepath.Join(s.dir, "zoo.cfg"), []byte(config), 0o600); err != nil {
		s.t.Fatal(err)
	}
	shell := exec.Command("sh", "-c", `"$@" >&2 & echo $!; read _; kill -9 $! 2>/dev/null; wait`, "sh",
		"java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", "/etc/zookeeper/conf:"+jar,
		"org.apache.zookeeper.server.quorum.QuorumPeerMain", filepath.Join(s.dir, "zoo.cfg"))
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
	eventually(s.t, "ZooKeeper answers", func() bool {
		conn, err := net.DialTimeout("tcp", s.address, time.Second)
		if err != nil {
			return false
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		_, _ = conn.Write([]byte("srvr"))
		answer, _ := io.ReadAll(conn)
		return strings.Contains(string(answer), "Mode: standalone")
	})
}

// kill ends ZooKeeper as a crash does.
func (s *server) kill() {
	if s.running == nil {
		return
	}
	if err := syscall.Kill(s.running.pid, syscall.SIGKILL); err != nil {
		s.t.Errorf("kill ZooKeeper: %v", err)
	}
	_ = s.running.stdin.Close()
	_ = s.running.shell.Wait() // its status is that of a kill of what is dead
	if text, err := os.ReadFile(filepath.Join(s.dir, "log")); s.t.Failed() && err == nil {
		s.t.Logf("ZooKeeper's log:\n%s", text)
	}
	s.running = nil
}

// wipe removes all that the ZooKeeper, which must not run, has kept.
func (s *server) wipe() {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.dir, "data")); err != nil {
		s.t.Fatal(err)
	}
}

// registry returns a handle of a system's registry.
func (s *server) registry(opts zkdiscovery.Options) *zkdiscovery.Registry {
	return zkdiscovery.New([]string{s.address}, logged(s.t, opts))
}

// conn returns a connection that is closed with the test.
func (s *server) conn() *zk.Conn {
	s.t.Helper()
	conn, events, err := zk.Connect([]string{s.address}, 10*time.Second, zk.WithLogInfo(false))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		conn.Close()
		for range events {
		}
	})
	return conn
}

// logged has the registry log to the test.
func logged(t testing.TB, opts zkdiscovery.Options) zkdiscovery.Options {
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
