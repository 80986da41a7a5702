package hanse_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

// greetServer answers a payload with a greeting. What it does before that can be replaced.
type greetServer struct {
	testpb.UnimplementedTestServiceServer
	before func(ctx context.Context) error
}

func (s greetServer) UnaryCall(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if s.before != nil {
		if err := s.before(ctx); err != nil {
			return nil, err
		}
	}
	return &testpb.SimpleResponse{Payload: &testpb.Payload{Body: []byte("Hello, " + string(req.GetPayload().GetBody()) + "!")}}, nil
}

// greeter returns the smallest service.
func greeter() *hanse.Service {
	svc := &hanse.Service{Name: "greeter"}
	testpb.RegisterTestServiceServer(svc, greetServer{})
	return svc
}

// hello greets through a connection and returns the answer, or the error's text.
func hello(conn grpc.ClientConnInterface, name string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	reply, err := testpb.NewTestServiceClient(conn).UnaryCall(ctx, &testpb.SimpleRequest{Payload: &testpb.Payload{Body: []byte(name)}})
	if err != nil {
		return err.Error()
	}
	return string(reply.GetPayload().GetBody())
}

// runningApp is an App that runs in this test.
type runningApp struct {
	*hanse.App
	t         *testing.T
	registry  *discovery.Memory
	instances map[string]discovery.Instance // by service
	stop      context.CancelFunc
	done      chan struct{}
	err       error // of Run, after done
	log       *logBuffer
}

// run runs the services and returns when they are announced as ready. Run must return nil when the test ends, unless the test looks at
// the error itself.
func run(t *testing.T, app *hanse.App, services ...*hanse.Service) *runningApp {
	t.Helper()
	r := begin(t, app, services...)
	r.awaitReady(services...)
	return r
}

// begin runs the services and does not wait.
func begin(t *testing.T, app *hanse.App, services ...*hanse.Service) *runningApp {
	t.Helper()
	r := &runningApp{App: app, t: t, instances: make(map[string]discovery.Instance), done: make(chan struct{}), log: new(logBuffer)}
	if app.Registry == nil {
		app.Registry = new(discovery.Memory)
	}
	r.registry, _ = app.Registry.(*discovery.Memory)
	if app.Logger == nil {
		app.Logger = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() {
		defer close(r.done)
		r.err = app.Run(ctx, services...)
	}()
	r.t.Cleanup(func() {
		cancel()
		<-r.done
		if t.Failed() {
			t.Logf("log:\n%s", r.log)
		}
	})
	return r
}

// awaitReady waits until the services are announced as ready.
func (r *runningApp) awaitReady(services ...*hanse.Service) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	go func() {
		select {
		case <-r.done: // it will not become ready
			cancel()
		case <-ctx.Done():
		}
	}()
	ready := false
	r.App.Registry.Watch(ctx, "", func(instances []discovery.Instance) {
		clear(r.instances)
		for _, inst := range instances {
			if inst.State == discovery.Ready {
				r.instances[inst.Service] = inst
			}
		}
		ready = !slices.ContainsFunc(services, func(s *hanse.Service) bool { return r.instances[s.Name].Service == "" })
		if ready {
			cancel()
		}
	})
	if !ready {
		r.stop()
		<-r.done
		r.t.Fatalf("not ready; Run returned: %v\n%s", r.err, r.log)
	}
}

// wait returns what Run returns.
func (r *runningApp) wait() error {
	r.t.Helper()
	select {
	case <-r.done:
		return r.err
	case <-time.After(20 * time.Second):
		r.t.Fatalf("Run does not return; log:\n%s", r.log)
		return nil
	}
}

// end stops the app, which must go well.
func (r *runningApp) end() {
	r.t.Helper()
	r.stop()
	if err := r.wait(); err != nil {
		r.t.Errorf("Run: %v", err)
	}
}

// addr returns HOST:PORT of a service.
func (r *runningApp) addr(service string) string {
	r.t.Helper()
	for _, e := range r.instances[service].Endpoints {
		if u, err := url.Parse(e); err == nil && u.Scheme == "tcp" {
			return u.Host
		}
	}
	r.t.Fatalf("service %s has no TCP endpoint: %+v", service, r.instances[service])
	return ""
}

// stock returns a connection of grpc-go's own.
func (r *runningApp) stock(service string, opts ...grpc.DialOption) *grpc.ClientConn {
	r.t.Helper()
	conn, err := grpc.NewClient(r.addr(service), append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

// roundTrip makes a request, on a connection of its own, and returns the response and its body.
func roundTrip(t *testing.T, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// wantError checks that an error says all of the texts.
func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %q", texts)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error does not say %q:\n%v", text, err)
		}
	}
}

// logBuffer keeps a log. Its zero value is an empty one.
type logBuffer struct {
	mu   sync.Mutex
	b    strings.Builder
	wait chan struct{} // closed at the next write
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wait != nil {
		close(l.wait)
		l.wait = nil
	}
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// await returns when the log has the text. It must come before end is closed.
func (l *logBuffer) await(t *testing.T, text string, end <-chan struct{}) {
	t.Helper()
	for {
		l.mu.Lock()
		has := strings.Contains(l.b.String(), text)
		if l.wait == nil {
			l.wait = make(chan struct{})
		}
		wait := l.wait
		l.mu.Unlock()
		if has {
			return
		}
		select {
		case <-wait:
		case <-end:
			t.Fatalf("ended without %q in the log:\n%s", text, l)
		}
	}
}

var errTest = errors.New("this went wrong")

func writeFile(name, content string) error { return os.WriteFile(name, []byte(content), 0o600) }
