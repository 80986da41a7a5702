//go:build unix

package zkdiscovery_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/zkdiscovery"
)

// server is a real ZooKeeper, a child process on a port of its own.
type server struct {
	t       testing.TB
	dir     string
	address string
	number  int      // in its ensemble; 0: it is alone
	config  string   // more of it
	java    []string // flags of Java's
	dial    zk.Dialer
	running *discoverytest.Process
}

var engine = discoverytest.Engine{
	New: func(t testing.TB) discoverytest.Server { return newServer(t) },
	NewCluster: func(t testing.TB) (all []discoverytest.Server) {
		for _, s := range startEnsemble(t) {
			all = append(all, s)
		}
		return all
	},
	Advice: "is ZooKeeper running and reached from here, with the TLS that it wants? Try: zkCli.sh -server ",
}

// Where Debian puts ZooKeeper.
const (
	jar        = "/usr/share/java/zookeeper.jar"
	nettyCodec = "/usr/share/java/netty-codec.jar" // which ZooKeeper wants for TLS, and does not name
)

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
	s := &server{t: t, dir: t.TempDir(), address: discoverytest.FreeAddress(t)}
	t.Cleanup(s.Kill)
	return s
}

// startServer starts a ZooKeeper that ends with the test.
func startServer(t testing.TB) *server {
	t.Helper()
	s := newServer(t)
	s.Start()
	return s
}

// startEnsemble starts a ZooKeeper of three servers that end with the test.
func startEnsemble(t testing.TB) (all []*server) {
	t.Helper()
	config := "initLimit=20\nsyncLimit=10\n"
	for n := range 3 {
		s := newServer(t)
		_, election, err := net.SplitHostPort(discoverytest.FreeAddress(t))
		if err != nil {
			t.Fatal(err)
		}
		config += fmt.Sprintf("server.%d=%s:%s\n", n+1, discoverytest.FreeAddress(t), election)
		all = append(all, s)
	}
	for n, s := range all {
		s.config, s.number = config, n+1
		s.launch()
	}
	for _, s := range all {
		s.await()
	}
	return all
}

func (s *server) Address() string { return s.address }

func (s *server) Start() {
	s.t.Helper()
	s.launch()
	s.await()
}

func (s *server) launch() {
	s.t.Helper()
	host, port, err := net.SplitHostPort(s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	data := filepath.Join(s.dir, "data")
	config := fmt.Sprintf("tickTime=500\ndataDir=%s\nadmin.enableServer=false\nmaxClientCnxns=0\n4lw.commands.whitelist=srvr\n", data) + s.config
	if !strings.Contains(config, "lientPort=") {
		config += fmt.Sprintf("clientPort=%s\nclientPortAddress=%s\n", port, host)
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		s.t.Fatal(err)
	}
	if s.number > 0 {
		if err := os.WriteFile(filepath.Join(data, "myid"), fmt.Append(nil, s.number), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, "zoo.cfg"), []byte(config), 0o600); err != nil {
		s.t.Fatal(err)
	}
	command := []string{"java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", "/etc/zookeeper/conf:" + jar + ":" + nettyCodec}
	command = append(append(command, s.java...), "org.apache.zookeeper.server.quorum.QuorumPeerMain", filepath.Join(s.dir, "zoo.cfg"))
	s.running = discoverytest.StartProcess(s.t, filepath.Join(s.dir, "log"), command...)
}

func (s *server) await() {
	s.t.Helper()
	discoverytest.Eventually(s.t, "ZooKeeper answers", func() bool { return strings.Contains(s.srvr(), "Mode: ") })
}

// srvr returns what the server says of itself.
func (s *server) srvr() string {
	dial := s.dial
	if dial == nil {
		dial = net.DialTimeout
	}
	conn, err := dial("tcp", s.address, time.Second)
	if err != nil {
		return ""
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write([]byte("srvr"))
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

// Leads implements [registrytest.Member].
func (s *server) Leads() bool { return strings.Contains(s.srvr(), "Mode: leader") }

func (s *server) Kill() { s.running.Kill() }

func (s *server) Wipe() {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.dir, "data")); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) Open(h discoverytest.Handle) discovery.Registrar {
	opts := zkdiscovery.Options{System: h.System, SessionTimeout: h.TTL, Logger: h.Logger}
	if len(h.Addresses) == 0 {
		h.Addresses = []string{s.address}
	}
	return s.open(opts, h.Addresses...)
}

// open returns a handle that logs to the test, if nowhere else.
func (s *server) open(opts zkdiscovery.Options, addresses ...string) *zkdiscovery.Registry {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(s.t.Output(), nil))
	}
	opts.Dial = s.dial
	return zkdiscovery.New(addresses, opts)
}

func (s *server) Put(records map[string]string) {
	s.connected(func(conn *zk.Conn) {
		made := map[string]bool{"/": true}
		var creates []any
		for name, record := range records {
			node := "/hanse/default/" + name
			s.makeFolder(conn, path.Dir(node), made)
			if len(records) == 1 { // which may be there
				if _, err := conn.Set(node, []byte(record), -1); err == nil {
					return
				}
			}
			creates = append(creates, &zk.CreateRequest{Path: node, Data: []byte(record), Acl: zk.WorldACL(zk.PermAll)})
		}
		if _, err := conn.Multi(creates...); err != nil {
			s.t.Fatal(err)
		}
	})
}

func (s *server) makeFolder(conn *zk.Conn, node string, made map[string]bool) {
	s.t.Helper()
	if made[node] {
		return
	}
	made[node] = true
	s.makeFolder(conn, path.Dir(node), made)
	if _, err := conn.Create(node, nil, 0, zk.WorldACL(zk.PermAll)); err != nil && !errors.Is(err, zk.ErrNodeExists) {
		s.t.Fatal(err)
	}
}

func (s *server) Delete(name string) {
	s.connected(func(conn *zk.Conn) { s.delete(conn, path.Join("/hanse/default", name)) })
}

// delete deletes a node and all below it, one after the other, as an operator does.
func (s *server) delete(conn *zk.Conn, node string) {
	s.t.Helper()
	names, _, err := conn.Children(node)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range names {
		s.delete(conn, node+"/"+name)
	}
	if err := conn.Delete(node, -1); err != nil && !errors.Is(err, zk.ErrNotEmpty) { // an instance is quick to announce itself again
		s.t.Fatal(err)
	}
}

// connected does something with a connection.
func (s *server) connected(do func(*zk.Conn)) {
	s.t.Helper()
	dial := s.dial
	if dial == nil {
		dial = net.DialTimeout
	}
	conn, events, err := zk.Connect([]string{s.address}, 10*time.Second, zk.WithLogInfo(false), zk.WithDialer(dial))
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() {
		conn.Close()
		for range events {
		}
	}()
	do(conn)
}
