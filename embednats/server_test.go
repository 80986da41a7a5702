package embednats_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/embednats"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
)

// childVariable has the test's own binary be another process with a server in this folder.
const childVariable = "EMBEDNATS_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		if err := publishForEver(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// publishForEver publishes to a server of its own, and says after each acknowledgement which it was.
func publishForEver(dir string) error {
	s := &embednats.Server{Dir: dir}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); os.Exit(3) }() // nobody is there any more
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	nc, err := s.Connect(ctx)
	if err != nil {
		return err
	}
	js, err := jetstream.New(nc)
	if err == nil {
		_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events"}})
	}
	for err == nil {
		var ack *jetstream.PubAck
		if ack, err = js.Publish(ctx, "events", []byte("event")); err == nil {
			fmt.Println(ack.Sequence)
		}
	}
	return err
}

// start runs a server until the test ends, or until the function that it returns is called.
func start(t testing.TB, s *embednats.Server) (stop func()) {
	t.Helper()
	if s.Logger == nil {
		s.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// connect returns a connection inside of the process, until the test ends or it is closed.
func connect(t testing.TB, s *embednats.Server) jetstream.JetStream {
	t.Helper()
	nc, err := s.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func stream(t testing.TB, js jetstream.JetStream, c jetstream.StreamConfig) jetstream.Stream {
	t.Helper()
	c.Name, c.Subjects = "EVENTS", []string{"events"}
	st, err := js.CreateOrUpdateStream(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func messages(t testing.TB, js jetstream.JetStream) uint64 {
	t.Helper()
	st, err := js.Stream(t.Context(), "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	info, err := st.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Msgs
}

func TestKeeps(t *testing.T) {
	dir := t.TempDir()
	for i := range uint64(3) {
		s := &embednats.Server{Dir: dir}
		stop := start(t, s)
		js := connect(t, s)
		stream(t, js, jetstream.StreamConfig{})
		if n := messages(t, js); n != i {
			t.Fatalf("%d messages after %d runs", n, i)
		}
		if _, err := js.Publish(t.Context(), "events", []byte("event")); err != nil {
			t.Fatal(err)
		}
		if err := s.Health(t.Context()); err != nil {
			t.Errorf("Health: %v", err)
		}
		js.Conn().Close()
		stop()
		if err := s.Health(t.Context()); err == nil {
			t.Error("Health of a server that has ended: nil")
		}
	}
}

// What a process was told is stored is there after it was killed.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acknowledged uint64
	lines := bufio.NewScanner(out)
	for acknowledged < 200 && lines.Scan() {
		if _, err := fmt.Sscan(lines.Text(), &acknowledged); err != nil {
			t.Fatal(lines.Text())
		}
	}

	other := &embednats.Server{Dir: dir}
	err = other.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("the folder %s is in use by process %d", dir, cmd.Process.Pid)) {
		t.Errorf("Run in the folder of another process: %v", err)
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // what it had said
		if _, err := fmt.Sscan(lines.Text(), &acknowledged); err != nil {
			t.Fatal(lines.Text())
		}
	}
	_ = cmd.Wait() // killed
	s := &embednats.Server{Dir: dir}
	start(t, s)
	if n := messages(t, connect(t, s)); acknowledged < 200 || n < acknowledged {
		t.Errorf("%d messages, and %d were acknowledged", n, acknowledged)
	}
}

func TestTwoOnOneDir(t *testing.T) {
	dir := t.TempDir()
	first := &embednats.Server{Dir: dir}
	stop := start(t, first)
	connect(t, first).Conn().Close()
	second := &embednats.Server{Dir: filepath.Join(dir, "..", filepath.Base(dir))}
	err := second.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("is in use by process %d", os.Getpid())) || !strings.Contains(err.Error(), "its own Dir") {
		t.Errorf("Run in a folder that is in use: %v", err)
	}
	if _, err := second.Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("Connect to a server that did not start: %v", err)
	}
	stop()
	third := &embednats.Server{Dir: dir}
	start(t, third)
	connect(t, third)
}

func TestMistakes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for want, s := range map[string]*embednats.Server{
		"not a directory":                            {Dir: file},
		`Addr "localhost" is not HOST:PORT`:          {Addr: "localhost"},
		`Addr "localhost:http" is not HOST:PORT`:     {Addr: "localhost:http"},
		"address already in use":                     {Addr: taken.Addr().String()},
		"MaxDisk and MaxMemory":                      {MaxDisk: -1},
		`Cluster.Addr "" is not HOST:PORT`:           {Cluster: &embednats.Cluster{}},
		"need to know the port":                      {Cluster: &embednats.Cluster{Addr: "127.0.0.1:0"}},
		`Cluster.Peers "127.0.0.1" is not HOST:PORT`: {Cluster: &embednats.Cluster{Addr: "127.0.0.1:1", Peers: []string{"127.0.0.1"}}},
	} {
		if s.Dir == "" {
			s.Dir = t.TempDir()
		}
		s.Logger = slog.New(slog.DiscardHandler)
		if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Run: %v, want an error with %q", err, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	s := new(embednats.Server)
	if _, err := s.Connect(ended()); !errors.Is(err, context.Canceled) {
		t.Errorf("Connect to a server that does not run: %v", err)
	}
	if err := s.Health(t.Context()); err == nil {
		t.Error("Health of a server that does not run: nil")
	}
	start(t, s)
	connect(t, s)
	if !s.Syncs() {
		t.Error("what is acknowledged need not be on the disk")
	}
	if memory, disk := s.Limits(); memory != 256<<20 || disk < 1<<20 {
		t.Errorf("limits of %d bytes of memory and %d of the disk", memory, disk)
	}
	if !s.Private() {
		t.Error("a server without a port is not private")
	}
	if url, err := s.URL(t.Context()); err == nil {
		t.Errorf("URL of a server without a port: %s", url)
	}
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "ran before") {
		t.Errorf("second Run: %v", err)
	}

	fast := &embednats.Server{Dir: t.TempDir(), NoSync: true, MaxMemory: 1 << 20, MaxDisk: 2 << 20}
	start(t, fast)
	connect(t, fast)
	if memory, disk := fast.Limits(); fast.Syncs() || memory != 1<<20 || disk != 2<<20 {
		t.Errorf("sync %v, limits of %d and %d bytes", fast.Syncs(), memory, disk)
	}
}

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// A server whose context has ended before it began ends.
func TestEndsAtOnce(t *testing.T) {
	s := &embednats.Server{Dir: t.TempDir(), Addr: "127.0.0.1:0"}
	if err := s.Run(ended()); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestAddr(t *testing.T) {
	s := &embednats.Server{Dir: t.TempDir(), Addr: "127.0.0.1:0"}
	start(t, s)
	url, err := s.URL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream(t, js, jetstream.StreamConfig{})
	if n := messages(t, connect(t, s)); n != 0 {
		t.Error(n)
	}
	_, host, _ := strings.Cut(url, "@")
	for _, url := range []string{"nats://" + host, "nats://wrong@" + host, "nats://a:b@" + host} {
		if nc, err := nats.Connect(url); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("Connect without the token: %v, %v", nc, err)
		}
	}
	if strings.Contains(s.String(), strings.TrimPrefix(strings.TrimSuffix(url, "@"+host), "nats://")) {
		t.Errorf("%v shows the token", s)
	}
	given := &embednats.Server{Dir: t.TempDir(), Addr: "127.0.0.1:0", Token: "sesame"}
	start(t, given)
	if url, err := given.URL(t.Context()); err != nil || !strings.HasPrefix(url, "nats://sesame@127.0.0.1:") {
		t.Error(url, err)
	}
}

func TestTLS(t *testing.T) {
	creds := discoverytest.NewCredentials(t)
	cert, err := tls.LoadX509KeyPair(creds.CertFile, creds.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	s := &embednats.Server{Dir: t.TempDir(), Addr: "127.0.0.1:0", TLS: &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientCAs: creds.Client("").RootCAs, ClientAuth: tls.RequireAndVerifyClientCert,
	}}
	start(t, s)
	connect(t, s)
	url, err := s.URL(t.Context())
	if err != nil || !strings.HasPrefix(url, "tls://127.0.0.1:") {
		t.Fatal(url, err)
	}
	nc, err := nats.Connect(url, nats.Secure(creds.Client("shop")))
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	for what, opts := range map[string]nats.Option{
		"no certificate": nats.Secure(creds.Client("")), "one of another authority": nats.Secure(func() *tls.Config {
			c := discoverytest.NewCredentials(t).Client("shop")
			c.RootCAs = creds.Client("").RootCAs
			return c
		}()),
	} {
		if nc, err := nats.Connect(url, opts); err == nil {
			nc.Close()
			t.Errorf("connected with %s", what)
		}
	}
}

// A store that is full is an error to the publisher, and what is there stays.
func TestFull(t *testing.T) {
	s := &embednats.Server{Dir: t.TempDir(), MaxDisk: 1 << 20}
	start(t, s)
	js := connect(t, s)
	stream(t, js, jetstream.StreamConfig{})
	var stored uint64
	var err error
	for range 100 {
		if _, err = js.Publish(t.Context(), "events", make([]byte, 64<<10)); err != nil {
			break
		}
		stored++
	}
	if _, refused := errors.AsType[*jetstream.APIError](err); !refused {
		t.Errorf("%v after %d messages, want a refusal", err, stored)
	}
	if n := messages(t, js); n != stored || n < 8 {
		t.Errorf("%d messages, and %d were stored", n, stored)
	}
}

// smallDisk mounts a disk of 160 MiB, until the test ends.
func smallDisk(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=160m", "hanse-test", dir).CombinedOutput(); err != nil {
		t.Skipf("no small disk can be made here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// The limits of streams may be more than a small disk together; what is stored may not.
func TestSmallDisk(t *testing.T) {
	dir := smallDisk(t)
	var log discoverytest.Log
	s := &embednats.Server{Dir: filepath.Join(dir, "data"), Logger: log.Logger()}
	stop := start(t, s)
	defer stop()
	js := connect(t, s)
	defer js.Conn().Close()
	for _, name := range []string{"A", "B", "C"} {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{name}, MaxBytes: 1 << 30}); err != nil {
			t.Fatal(err)
		}
	}
	publish := func() error {
		_, err := js.Publish(t.Context(), "A", make([]byte, 512<<10))
		return err
	}
	stored := 0
	for ; stored < 1000; stored++ {
		if err := publish(); err != nil {
			if _, refused := errors.AsType[*jetstream.APIError](err); !refused {
				t.Errorf("%v, want a refusal", err)
			}
			break
		}
	}
	if stored < 200 || stored > 270 { // three quarters are 240, and some are stored before it is noticed
		t.Errorf("%d messages of 512 KiB were stored on a disk of 160 MiB", stored)
	}
	log.Await(t, "NATS keeps as much as it may, three quarters of what the disk had room for")
	a, err := js.Stream(t.Context(), "A")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	discoverytest.Eventually(t, "the server stores again", func() bool { return publish() == nil })
}

// A disk that is full is an error to the publisher; when it has room again the server goes on with what it had.
func TestDiskFull(t *testing.T) {
	dir := smallDisk(t)
	var log discoverytest.Log
	s := &embednats.Server{Dir: filepath.Join(dir, "data"), MaxDisk: 1 << 30, Logger: log.Logger()}
	stop := start(t, s)
	defer stop()
	js := connect(t, s)
	defer js.Conn().Close()
	stream(t, js, jetstream.StreamConfig{})
	publish := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := js.Publish(ctx, "events", make([]byte, 64<<10))
		return err
	}
	ballast := filepath.Join(dir, "ballast")
	stored := uint64(0)
	for _, size := range []int{140 << 20, 200 << 20} { // nearly full, and full at once
		_ = os.WriteFile(ballast, make([]byte, size), 0o600) // as much as there is room for
		var err error
		for range 1000 {
			if err = publish(); err != nil {
				break
			}
			stored++
		}
		if err == nil {
			t.Fatalf("%d messages were stored on a full disk", stored)
		}
		t.Logf("after %d messages: %v", stored, err)
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		discoverytest.Eventually(t, "the server stores again", func() bool { return publish() == nil })
		stored++
		if n := messages(t, js); n < stored {
			t.Errorf("%d messages, and %d were stored", n, stored)
		}
	}
	log.Await(t, "the disk has room again")
}

// A server with a stream that could not be written goes on with what is stored.
func TestWriteError(t *testing.T) {
	var log discoverytest.Log
	s := &embednats.Server{Dir: t.TempDir(), Logger: log.Logger()}
	stop := start(t, s)
	defer stop()
	js := connect(t, s)
	defer js.Conn().Close()
	stream(t, js, jetstream.StreamConfig{})
	for range 3 {
		if _, err := js.Publish(t.Context(), "events", nil); err != nil {
			t.Fatal(err)
		}
	}
	s.Break()
	log.Await(t, "NATS stores again after a failed write")
	if _, err := js.Publish(t.Context(), "events", nil); err != nil {
		t.Fatal(err)
	}
	if n := messages(t, js); n != 4 || !s.Syncs() {
		t.Errorf("%d messages, want 4; synced %v", n, s.Syncs())
	}
}

func TestLog(t *testing.T) {
	var log strings.Builder
	s := &embednats.Server{Dir: t.TempDir(), Addr: "127.0.0.1:0", Logger: slog.New(slog.NewTextHandler(&log, nil))}
	stop := start(t, s)
	connect(t, s).Conn().Close()
	stop()
	if log.Len() > 0 {
		t.Errorf("logged without need:\n%s", &log)
	}
}
