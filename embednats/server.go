package embednats

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Server is a NATS server with JetStream. The zero value is one for its own process, with its data in the user's folder for such. Run runs it,
// once; its fields must not change after that. Its methods may be called concurrently.
type Server struct {
	// Dir is the folder of what it keeps. It is made when it is not there, and must be on a local file system. Default: hanse/PROGRAM in the
	// folder of the user's state ($XDG_STATE_HOME, ~/.local/state; elsewhere that of the settings).
	Dir string

	// Addr is the HOST:PORT at which other processes connect. Port 0 is a free one. Default: none, it is for its own process.
	Addr string

	// Advertise is the HOST:PORT that clients are told where Addr is not what they reach. Default: Addr.
	Advertise string

	// Token is what clients show. Default: with TLS that demands certificates none, else a random one, which is in URL.
	Token string

	// TLS are the settings of connections to Addr, with a certificate at least. Those with ClientCAs and RequireAndVerifyClientCert let in
	// who has a certificate of that authority. Default: plaintext.
	TLS *tls.Config

	// NoSync leaves it to the operating system when what was acknowledged is written to the disk: faster, and a crash of the machine, not of
	// the process, loses the last seconds. Default: every write is synced before it is acknowledged.
	NoSync bool

	// MaxMemory bounds what is kept in memory, in bytes. Default: 256 MiB.
	MaxMemory int64

	// MaxDisk bounds what is kept on the disk, in bytes. What would be over it is an error to its publisher, and so is a stream whose limit
	// does not fit in beside those of the others, for that much is set aside for each. Default: three quarters of what the disk has room for
	// at the start, and nothing is set aside: the limits of all streams may be more together.
	MaxDisk int64

	// Name tells the servers of a cluster apart; one that comes back after it lost its data must have the name that it had. Default: made
	// of the cluster's address, or random without a cluster.
	Name string

	// Cluster makes the server one of three. Default (nil): it is alone.
	Cluster *Cluster

	// Drain is how long a server of a cluster gives its clients to go to the others when it ends. Default: 5 s; -1: it ends at once.
	Drain time.Duration

	// Logger gets what the server has to say: its troubles, and at the debug level what it does. Default: slog.Default().
	Logger *slog.Logger

	mu   sync.Mutex
	life *life
}

// life is one Run.
type life struct {
	ran    bool
	up     chan struct{} // closed when it takes connections
	over   chan struct{} // closed when Run returns
	server *server.Server
	log    *log
	token  string
	dir    string
	most   int64 // bytes on the disk; 0: the server sees to that
	err    error
}

// now returns the life, which begins with the first who asks.
func (s *Server) now() *life {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life == nil {
		s.life = &life{up: make(chan struct{}), over: make(chan struct{})}
	}
	return s.life
}

// begin returns the life that Run is to fill.
func (s *Server) begin() (*life, error) {
	l := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.ran {
		return nil, errors.New("embednats: this Server ran before: make a new one")
	}
	l.ran = true
	return l, nil
}

// Run runs the server until ctx ends, and returns when all that it started has ended. It returns nil then, and otherwise what keeps it from
// running: a folder that another process uses, an address that is taken, settings that do not fit.
func (s *Server) Run(ctx context.Context) error {
	l, err := s.begin()
	if err != nil {
		return err
	}
	err = s.run(ctx, l)
	if err != nil {
		err = fmt.Errorf("embednats: %w", err)
	}
	l.err = err
	close(l.over)
	return err
}

func (s *Server) run(ctx context.Context, l *life) (err error) {
	if l.dir, err = s.dir(); err != nil {
		return err
	}
	lock, err := hold(l.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if l.token = s.Token; l.token == "" && !s.certified() {
		l.token = rand.Text()
	}
	options, err := s.options(l)
	if err != nil {
		return err
	}
	srv, err := server.NewServer(options)
	if err != nil {
		return err
	}
	l.log = &log{to: s.logger(), fatal: make(chan string, 1)}
	srv.SetLoggerV2(l.log, false, false, false)

	started := make(chan struct{})
	go func() {
		defer close(started)
		srv.Start()
	}()
	err = awaitStart(ctx, srv, started, l.log.fatal)
	if err == nil && ctx.Err() == nil {
		l.server = srv
		close(l.up)
		s.logger().Debug("NATS server runs", "dir", l.dir, "addr", s.shownAddr(srv), "sync", options.SyncAlways)
		err = s.keepStoring(ctx, l, options)
	}
	if err == nil && l.server != nil && s.Cluster != nil && s.Drain >= 0 {
		srv.LameDuckShutdown()
	}
	srv.Shutdown()
	srv.WaitForShutdown()
	<-started
	return err
}

// awaitStart returns when the server takes connections.
func awaitStart(ctx context.Context, srv *server.Server, started <-chan struct{}, fatal <-chan string) error {
	select {
	case <-started:
	case <-ctx.Done():
		return nil
	}
	for ctx.Err() == nil {
		select {
		case text := <-fatal:
			return errors.New(text)
		default:
		}
		if srv.ReadyForConnections(50 * time.Millisecond) {
			return nil
		}
	}
	return nil
}

// await returns the server when it runs.
func (s *Server) await(ctx context.Context) (*life, error) {
	l := s.now()
	select {
	case <-l.up:
	case <-l.over:
	case <-ctx.Done():
		return nil, fmt.Errorf("embednats: waiting for the server to run: %w", context.Cause(ctx))
	}
	select {
	case <-l.over:
		if l.err != nil {
			return nil, l.err
		}
		return nil, errors.New("embednats: the server has ended")
	default:
		return l, nil
	}
}

// Connect waits until the server runs, or ctx ends, and returns a connection inside of the process. The caller closes it, before the server
// ends.
func (s *Server) Connect(ctx context.Context, opts ...nats.Option) (*nats.Conn, error) {
	l, err := s.await(ctx)
	if err != nil {
		return nil, err
	}
	inside := []nats.Option{nats.InProcessServer(l.server)}
	if l.token != "" {
		inside = append(inside, nats.Token(l.token))
	}
	nc, err := nats.Connect(nats.DefaultURL, append(inside, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("embednats: connect: %w", err)
	}
	return nc, nil
}

// URL waits until the server runs, or ctx ends, and returns what another process connects to, such as nats://TOKEN@127.0.0.1:4222. It is a
// secret.
func (s *Server) URL(ctx context.Context) (string, error) {
	l, err := s.await(ctx)
	if err != nil {
		return "", err
	}
	if s.Addr == "" {
		return "", errors.New("embednats: the server has no port: set Addr")
	}
	u := url.URL{Scheme: "nats", Host: s.shownAddr(l.server)}
	if s.TLS != nil {
		u.Scheme = "tls"
	}
	if l.token != "" {
		u.User = url.User(l.token)
	}
	return u.String(), nil
}

// shownAddr returns the address that others use: 127.0.0.1 where it is bound to all interfaces.
func (s *Server) shownAddr(srv *server.Server) string {
	if s.Advertise != "" {
		return s.Advertise
	}
	at, ok := srv.Addr().(*net.TCPAddr)
	if !ok {
		return ""
	}
	if at.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", fmt.Sprint(at.Port))
	}
	return at.String()
}

// Private reports whether only its own process can use the server.
func (s *Server) Private() bool { return s.Addr == "" }

// String says which server it is, for people.
func (s *Server) String() string {
	where := s.Dir
	if dir, err := s.dir(); err == nil {
		where = dir
	}
	if s.Addr == "" {
		return "embedded NATS in " + where
	}
	return "embedded NATS at " + s.Addr + " in " + where
}

func (s *Server) logger() *slog.Logger {
	if s.Logger != nil {
		return s.Logger
	}
	return slog.Default()
}

// certified reports whether clients show certificates.
func (s *Server) certified() bool {
	return s.TLS != nil && s.TLS.ClientAuth == tls.RequireAndVerifyClientCert
}

var _ fmt.Stringer = (*Server)(nil)
