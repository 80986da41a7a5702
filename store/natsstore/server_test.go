package natsstore_test

import (
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/store"
	"github.com/hanse-go/hanse/store/natsstore"
	"github.com/hanse-go/hanse/store/storetest"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		runChild()
		return
	}
	goleak.VerifyTestMain(m,
		// The server's own, which it has for the life of the process.
		goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.init.0.func1"),
	)
}

// engine is a NATS server of a test, which can be stopped and started again with what it had.
type engine struct {
	t       *testing.T
	options server.Options

	mu     sync.Mutex
	server *server.Server
}

func newEngine(t *testing.T) *engine {
	t.Helper()
	port := freePort(t)
	e := &engine{t: t, options: server.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, NoLog: true, NoSigs: true,
	}}
	e.start()
	t.Cleanup(e.stop)
	return e
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func (e *engine) start() {
	e.mu.Lock()
	defer e.mu.Unlock()
	options := e.options
	s, err := server.NewServer(&options)
	if err != nil {
		e.t.Error(err)
		return
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		e.t.Error("the server is not ready")
	}
	e.server = s
}

func (e *engine) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server != nil {
		e.server.Shutdown()
		e.server.WaitForShutdown()
		e.server = nil
	}
}

func (e *engine) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", e.options.Port) }

func (e *engine) connect() *nats.Conn {
	e.t.Helper()
	conn, err := nats.Connect(e.url(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.RetryOnFailedConnect(true))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(conn.Close)
	return conn
}

// engines are those of the drivers of a suite.
var engines sync.Map

func newStore(t *testing.T) *natsstore.Store {
	e := newEngine(t)
	s := &natsstore.Store{Conn: e.connect(), System: "test"}
	engines.Store(s, e)
	t.Cleanup(func() { engines.Delete(s) })
	return s
}

func engineOf(d store.Driver) *engine {
	e, _ := engines.Load(d)
	return e.(*engine)
}

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Suite{
		New: func(t *testing.T) store.Driver { return newStore(t) },
		Peer: func(_ *testing.T, d store.Driver) store.Driver {
			return &natsstore.Store{Conn: engineOf(d).connect(), System: "test"}
		},
		Grain: 3 * time.Second,
		Outage: func(_ *testing.T, d store.Driver) func() {
			e := engineOf(d)
			e.stop()
			return e.start
		},
	})
}

// text is a bucket of the tests.
var text = store.NewBucket[[]byte]("text")

func put(t *testing.T, c *store.Client, key, value string, opts ...store.PutOption) uint64 {
	t.Helper()
	revision, err := text.Put(t.Context(), c, key, []byte(value), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}
