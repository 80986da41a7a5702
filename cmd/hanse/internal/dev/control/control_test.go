package control_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/logs"
	"github.com/hanse-go/hanse/telemetry/collector"
	"github.com/hanse-go/hanse/telemetry/filter"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// system is a hanse dev of which a test decides what it answers.
type system struct {
	status control.Status
	ring   *logs.Ring
	store  *collector.Collector
	do     func(ctx context.Context, r control.Request, progress func(string)) error
}

func (s *system) Status() control.Status { return s.status }

func (s *system) API() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/traces" {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":"there is no trace","do":"look elsewhere"}`)
			return
		}
		fmt.Fprintf(w, `{"q":%q}`, r.URL.Query().Get("q"))
	})
}

func (s *system) Do(ctx context.Context, r control.Request, progress func(string)) error {
	return s.do(ctx, r, progress)
}

func (s *system) Logs(services []string) (control.Lines, error) {
	if len(services) > 0 && services[0] == "nobody" {
		return control.Lines{}, &control.Error{What: "no service nobody", Do: "try somebody"}
	}
	return control.Lines{Ring: s.ring, Store: s.store, Services: services}, nil
}

// serve runs a server for sys and returns a client, and how to end the server.
func serve(t *testing.T, sys *system) (*control.Client, func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "c")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	if err := os.WriteFile(path, nil, 0o600); err != nil { // what a dead process left
		t.Fatal(err)
	}
	lis, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v, %v", fi.Mode(), err)
	}
	return control.NewClient(path), run(t, lis, sys)
}

func run(t *testing.T, lis net.Listener, sys *system) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := control.Serve(ctx, lis, sys); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
	end = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(end)
	return end
}

func TestStatus(t *testing.T) {
	want := control.Status{System: "shop", PID: 7, Services: []control.Service{{Name: "cart", Want: 2, URL: "http://x"}},
		Processes: []control.Process{{Name: "cart", Services: []string{"cart"}, Replica: 1, State: control.Failed, Reason: "exit status 2", Last: []string{"oh"}}}}
	client, _ := serve(t, &system{status: want})
	got, err := client.Status(t.Context())
	if err != nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDo(t *testing.T) {
	var got control.Request
	sys := &system{do: func(_ context.Context, r control.Request, progress func(string)) error {
		got = r
		var wg sync.WaitGroup // progress may be told concurrently
		for i := range 100 {
			wg.Go(func() { progress(fmt.Sprint("step ", i)) })
		}
		wg.Wait()
		switch r.Replicas {
		case 1:
			return fmt.Errorf("in the end: %w", &control.Error{What: "no", Do: "wait"})
		case 2:
			return errors.New("plain")
		}
		return nil
	}}
	client, _ := serve(t, sys)
	for n, want := range []string{"", "no; wait", "plain"} {
		steps := 0
		r := control.Request{Action: control.Scale, Services: []string{"cart"}, Replicas: n}
		err := client.Do(t.Context(), r, func(string) { steps++ })
		if steps != 100 || !reflect.DeepEqual(got, r) {
			t.Errorf("%d steps of %+v", steps, got)
		}
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
		if e := new(control.Error); n == 1 && (!errors.As(err, &e) || e.Do != "wait") {
			t.Errorf("%#v", err)
		}
	}
}

// A request goes on when its terminal goes away, and is not in the way of the server's end.
func TestDoClientGone(t *testing.T) {
	started, goOn, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	sys := &system{do: func(_ context.Context, _ control.Request, progress func(string)) error {
		close(started)
		<-goOn
		for range 100 {
			progress("nobody listens")
		}
		close(done)
		return nil
	}}
	client, end := serve(t, sys)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-started
		cancel()
	}()
	if err := client.Do(ctx, control.Request{}, func(string) {}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(goOn)
	<-done
	end()
	if _, err := client.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "hanse dev does not answer") {
		t.Error(err)
	}
}

// TestLogs holds that lines are found in the ring and in the store alike.
func TestLogs(t *testing.T) {
	began := time.Now()
	t.Run("ring", func(t *testing.T) {
		sys := &system{ring: logs.NewRing(10)}
		testLogs(t, sys, began, func(l logs.Line) { sys.ring.Add(l) })
	})
	t.Run("store", func(t *testing.T) {
		sys := &system{store: &collector.Collector{Dir: t.TempDir()}}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- sys.store.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		if err := sys.store.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		testLogs(t, sys, began, func(l logs.Line) { sys.store.AddLogs(l.Stored()) })
	})
}

func testLogs(t *testing.T, sys *system, began time.Time, put func(logs.Line)) {
	n := 0
	add := func(service, msg string) {
		n++
		put(logs.Line{Service: service, Msg: msg, Level: "WARN", Time: began.Add(time.Duration(n) * time.Millisecond), Attrs: []logs.Attr{{Key: "n", Value: msg}}})
	}
	add("a", "1")
	add("b", "2")
	add("a", "3")
	client, end := serve(t, sys)
	read := func(q control.LogQuery) (got []string) {
		t.Helper()
		if err := client.Logs(t.Context(), q, func(l collector.Log) { got = append(got, l.Message) }); err != nil {
			t.Error(err)
		}
		return got
	}
	f, err := filter.Parse("level:warn n>1 -service:b")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		query control.LogQuery
		want  string
	}{
		{control.LogQuery{N: 2}, "[2 3]"},
		{control.LogQuery{N: 0}, "[]"},
		{control.LogQuery{N: 100, Services: []string{"a"}}, "[1 3]"},
		{control.LogQuery{N: 100, Filter: f}, "[3]"},
		{control.LogQuery{N: 100, Since: began.Add(2 * time.Millisecond)}, "[2 3]"},
		{control.LogQuery{N: 1, Services: []string{"a", "b"}}, "[3]"},
	} {
		if got := read(tt.query); fmt.Sprint(got) != tt.want {
			t.Errorf("%+v: %v, want %s", tt.query, got, tt.want)
		}
	}
	err = client.Logs(t.Context(), control.LogQuery{Services: []string{"nobody"}}, func(collector.Log) {})
	if e := new(control.Error); !errors.As(err, &e) || e.What != "no service nobody" || e.Do != "try somebody" {
		t.Error(err)
	}

	lines := make(chan string, 10)
	ended := make(chan error, 1)
	go func() {
		ended <- client.Logs(t.Context(), control.LogQuery{Services: []string{"a"}, N: 1, Follow: true}, func(l collector.Log) { lines <- l.Message })
	}()
	if got := <-lines; got != "3" {
		t.Error(got)
	}
	add("b", "4")
	add("a", "5")
	if got := <-lines; got != "5" {
		t.Error(got)
	}
	end() // hanse dev ends, and with it the follower
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAPI(t *testing.T) {
	client, end := serve(t, &system{})
	defer end()
	var v struct{ Q string }
	if err := client.API(t.Context(), "traces", url.Values{"q": {"status:error a&b"}}, &v); err != nil || v.Q != "status:error a&b" {
		t.Errorf("%+v, %v", v, err)
	}
	err := client.API(t.Context(), "traces/7", nil, &v)
	if e, ok := errors.AsType[*control.Error](err); !ok || *e != (control.Error{What: "there is no trace", Do: "look elsewhere"}) {
		t.Errorf("%v", err)
	}
}
