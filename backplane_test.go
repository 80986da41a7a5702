package hanse

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/embednats"
	"github.com/hanse-go/hanse/rpc"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// hub is a server for several apps, at one address while it comes and goes.
type hub struct {
	t    *testing.T
	dir  string
	addr string
	stop func()
}

func startHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{t: t, dir: t.TempDir(), addr: discoverytest.FreeAddress(t)}
	h.start()
	t.Cleanup(func() { h.stop() })
	return h
}

func (h *hub) start() {
	h.t.Helper()
	s := &embednats.Server{Dir: h.dir, Addr: h.addr, Token: "sesame", Logger: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	h.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
		h.stop = func() {}
	}
	if _, err := s.URL(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hub) url() NATS { return NATS("nats://sesame@" + h.addr) }

// runs runs an app until the test ends, or until the function that it returns is called, which returns the error of Run.
func runs(t *testing.T, a *App, services ...*Service) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx, services...) }()
	stopped := false
	stop = func() error {
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if !stopped {
			if err := stop(); err != nil {
				t.Errorf("Run: %v", err)
			}
		}
	})
	return stop
}

// asks asks a service for its health.
func asks(t *testing.T, a *App, service string) error {
	t.Helper()
	return ask(t, a.Conn(service), service)
}

func ask(t *testing.T, conn *rpc.Conn, service string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: service})
	return err
}

// Apps that share a backplane find each other there, also while it is away.
func TestBackplaneIsTheRegistry(t *testing.T) {
	h := startHub(t)
	var log discoverytest.Log
	admin := discoverytest.FreeAddress(t)
	runs(t, &App{System: "shop", Backplane: h.url(), AdminAddr: admin, Logger: log.Logger()}, &Service{Name: "cart"})
	caller := &App{System: "shop", Backplane: h.url(), Logger: slog.New(slog.DiscardHandler)}
	defer caller.Close()
	conn := caller.Conn("cart")
	if err := ask(t, conn, "cart"); err != nil {
		t.Fatal(err)
	}
	log.Await(t, "msg=ready")
	ready := func() (line string) {
		t.Helper()
		code, body := get(t, "http://"+admin+"/readyz")
		if code != 200 {
			t.Errorf("/readyz answers %d", code)
		}
		for l := range strings.Lines(body) {
			if strings.Contains(l, "backplane") {
				line = strings.TrimSpace(l)
			}
		}
		return line
	}
	if got := ready(); got != "ok    cart backplane" {
		t.Errorf("/readyz says %q", got)
	}

	h.stop()
	log.Await(t, "not connected to the backplane")
	if got, want := ready(), "warn  cart backplane: not connected to nats://…@"+h.addr; got != want {
		t.Errorf("/readyz says %q, want %q", got, want)
	}
	if err := ask(t, conn, "cart"); err != nil {
		t.Errorf("a call while the backplane is away: %v", err)
	}
	late := &App{System: "shop", Backplane: h.url(), Logger: slog.New(slog.DiscardHandler)} // it starts without one
	defer late.Close()
	asked := make(chan error, 1)
	go func() { asked <- asks(t, late, "cart") }()

	h.start()
	log.Await(t, "connected to the backplane again")
	if err := <-asked; err != nil {
		t.Errorf("a call of one that started while the backplane was away: %v", err)
	}
	if got := ready(); got != "ok    cart backplane" {
		t.Errorf("/readyz says %q", got)
	}
	if n := log.Count("not connected to the backplane"); n != 1 {
		t.Errorf("told %d times that the backplane is away:\n%s", n, &log)
	}
	if log.Count("sesame") > 0 {
		t.Errorf("the log has the token:\n%s", &log)
	}

	other := &App{System: "stall", Backplane: h.url(), Logger: slog.New(slog.DiscardHandler)}
	defer other.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := other.registry().Watch(ctx, "cart", func(l []discovery.Instance) {
		if len(l) > 0 {
			t.Errorf("the system stall has %v", l)
		}
		cancel()
	}); err != nil {
		t.Error(err)
	}
}

// A server inside of the process runs before the set-ups, and until all that may use it has ended.
func TestEmbeddedBackplane(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	a := &App{Backplane: &embednats.Server{Dir: dir}, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	var nc *nats.Conn
	publish := func(ctx context.Context) error {
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		if _, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events"}}); err != nil {
			return err
		}
		_, err = js.Publish(ctx, "events", nil)
		return err
	}
	stopped := make(chan error, 1)
	svc := &Service{Name: "cart", Setup: func(ctx context.Context, s *Service) (err error) {
		if nc, err = a.backplane().conn(ctx); err != nil {
			return err
		}
		s.OnStop(func(ctx context.Context) error { stopped <- publish(ctx); return nil })
		return publish(ctx)
	}}
	stop := runs(t, a, svc)
	if err := asks(t, a, "cart"); err != nil { // in memory: nobody else could use that registry
		t.Fatal(err)
	}
	if _, memory := a.registry().(*discovery.Memory); !memory {
		t.Errorf("the registry is %v", a.registry())
	}
	if err := stop(); err != nil {
		t.Fatalf("Run: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("publish from OnStop: %v", err)
	}
	if !nc.IsClosed() {
		t.Error("the connection is open after Run")
	}
	if _, err := a.backplane().conn(t.Context()); !errors.Is(err, errAppClosed) {
		t.Errorf("a connection after Run: %v", err)
	}
	again := &App{Backplane: &embednats.Server{Dir: dir}, Logger: a.Logger} // the folder is free
	runs(t, again, &Service{Name: "cart", Setup: func(ctx context.Context, s *Service) error {
		nc, err := again.backplane().conn(ctx)
		if err != nil {
			return err
		}
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		st, err := js.Stream(ctx, "EVENTS")
		if err == nil && st.CachedInfo().State.Msgs != 2 {
			t.Errorf("%d messages, want 2", st.CachedInfo().State.Msgs)
		}
		return err
	}})
	if err := asks(t, again, "cart"); err != nil {
		t.Error(err)
	}
}

// What is wrong with a backplane ends the start, with what to do and without its secret.
func TestBackplaneMistakes(t *testing.T) {
	h := startHub(t)
	quiet := slog.New(slog.DiscardHandler)
	for want, b := range map[string]Backplane{
		"in use by process":       &embednats.Server{Dir: h.dir, Logger: quiet},
		"Authorization Violation": NATS("nats://secret@" + h.addr),
		"want nats://HOST:PORT":   NATS("http://secret@" + h.addr),
		"token-file: ":            NATS("nats://secret@" + h.addr + "?token-file=" + filepath.Join(h.dir, "missing")),
		"panic: ouch":             panicking{},
		"it has ended":            ending{},
	} {
		err := (&App{Backplane: b, Logger: quiet}).Run(t.Context(), &Service{Name: "cart"})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(strings.ToLower(err.Error()), "backplane") || strings.Contains(err.Error(), "secret") {
			t.Errorf("Run: %v, want an error with %q", err, want)
		}
	}
}

type panicking struct{ ending }

func (panicking) Run(context.Context) error { panic("ouch") }

type ending struct{}

func (ending) Run(context.Context) error { return nil }
func (ending) Connect(ctx context.Context, _ ...nats.Option) (*nats.Conn, error) {
	select {
	case <-ctx.Done():
	case <-time.After(100 * time.Millisecond):
	}
	return nil, errors.New("no connection")
}

// An app whose server inside of the process ends stops.
func TestBackplaneEnds(t *testing.T) {
	h := startHub(t)
	b := &breaking{NATS: h.url(), broken: make(chan struct{})}
	err := (&App{Backplane: b, Logger: slog.New(slog.DiscardHandler)}).Run(t.Context(), &Service{Name: "cart", Setup: func(context.Context, *Service) error {
		close(b.broken)
		return nil
	}})
	if err == nil || err.Error() != "backplane: the disk is gone" {
		t.Errorf("Run: %v", err)
	}
}

type breaking struct {
	NATS
	broken chan struct{}
}

func (b *breaking) Run(context.Context) error {
	<-b.broken
	return errors.New("the disk is gone")
}

// get gets a page.
func get(t *testing.T, url string) (code int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestNATS(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]struct {
		hosts string
		shown string
		err   string
	}{
		"nats://a":                         {hosts: "a:4222"},
		"nats://a:1,b,[::1]:3":             {hosts: "a:1 b:4222 [::1]:3"},
		"nats://a:1,nats://b":              {hosts: "a:1 b:4222", shown: "nats://a:1,nats://b"},
		"tls://a/":                         {hosts: "a:4222"},
		"nats://secret@a:1":                {hosts: "a:1", shown: "nats://…@a:1"},
		"nats://user:secret@a:1,b":         {hosts: "a:1 b:4222", shown: "nats://…@a:1,b"},
		"nats://se%40cret%2F@a":            {hosts: "a:4222", shown: "nats://…@a"},
		"nats://a?token-file=" + file:      {hosts: "a:4222"},
		"nats://a?creds=/no&token-file=/n": {err: ": stat /n"},
		"":                                 {err: "want nats://", shown: "a malformed URL"},
		"a:1":                              {err: "want nats://", shown: "a malformed URL"},
		"http://secret@a":                  {err: "want nats://", shown: "http://…@a"},
		"nats://":                          {err: `"" is not HOST:PORT`},
		"nats://a,,b":                      {err: `"" is not HOST:PORT`},
		"nats://a:port":                    {err: "is not HOST:PORT"},
		"nats://secret@a b":                {err: "is not HOST:PORT", shown: "nats://…@a b"},
		"nats://a/shop":                    {err: "is not HOST:PORT"},
		"nats://:secret@a":                 {err: "no TOKEN", shown: "nats://…@a"},
		"nats://%zzsecret@a":               {err: "no TOKEN", shown: "nats://…@a"},
		"nats://a?cert=" + file:            {err: "cert and key go together"},
		"nats://a?colour=red":              {err: `unknown "colour"`},
	} {
		parsed, err := NATS(url).parse()
		if err == nil {
			_, err = parsed.files()
		}
		shown := NATS(url).String()
		if want.shown == "" {
			want.shown = url
		}
		switch {
		case want.err != "":
			if err == nil || !strings.Contains(err.Error(), want.err) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v, want an error with %q", url, err, want.err)
			}
		case err != nil:
			t.Errorf("%s: %v", url, err)
		default:
			if got := strings.Join(parsed.hosts, " "); got != want.hosts {
				t.Errorf("%s: hosts %s, want %s", url, got, want.hosts)
			}
		}
		if shown != want.shown {
			t.Errorf("%s is shown as %s, want %s", url, shown, want.shown)
		}
	}
}

func TestNATSToken(t *testing.T) {
	h := startHub(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	nc, err := NATS("nats://" + h.addr + "?token-file=" + file).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	var log discoverytest.Log
	log.Logger().Info("a backplane", "backplane", h.url())
	slog.New(slog.NewJSONHandler(&log, nil)).Info("a backplane", "backplane", h.url())
	if log.Count("sesame") > 0 || log.Count("…@") != 2 {
		t.Errorf("the log has the token:\n%s", &log)
	}
}

func FuzzNATS(f *testing.F) {
	for _, url := range []string{"nats://a:1,b", "tls://TOKEN@a?ca=x", "nats://u:p@a/?cert=a&key=b", "nats://a@b@c", "nats://?@"} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		parsed, err := NATS(url).parse()
		if err == nil && len(parsed.hosts) == 0 {
			t.Error("no host and no error")
		}
		before, _, _ := strings.Cut(url, "?")
		if at := strings.LastIndex(before, "@"); err == nil && at >= 0 {
			secret := before[strings.Index(before, "://")+3 : at]
			if shown := NATS(url).String(); strings.HasPrefix(shown, parsed.scheme+"://"+secret+"@") && secret != "…" {
				t.Errorf("shown as %s", shown)
			}
		}
	})
}
