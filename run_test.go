package hanse_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

func TestRun(t *testing.T) {
	r := run(t, new(hanse.App), greeter())
	if got := hello(r.stock("greeter"), "stock"); got != "Hello, stock!" {
		t.Errorf("a stock client got %q", got)
	}
	if got := hello(r.Conn("greeter"), "app"); got != "Hello, app!" {
		t.Errorf("App.Conn got %q", got)
	}
	inst := r.instances["greeter"]
	if len(inst.ID) != 32 || inst.PID == 0 || inst.Started.IsZero() {
		t.Errorf("instance lacks something: %+v", inst)
	}
	if i := slices.IndexFunc(inst.Contracts, func(c discovery.Contract) bool { return c.Name == "grpc.testing.TestService" }); i < 0 || len(inst.Contracts[i].Hash) != 32 {
		t.Errorf("contracts %+v", inst.Contracts)
	}
	r.end()
	if !strings.Contains(r.log.String(), "msg=stopped") {
		t.Errorf("log:\n%s", r.log)
	}
}

// TestConnBeforeRun holds that connections may be made before anything runs: their calls wait.
func TestConnBeforeRun(t *testing.T) {
	svc := &hanse.Service{Name: "caller"}
	early := svc.Conn("greeter")
	got := make(chan string)
	go func() { got <- hello(early, "early") }()
	app := &hanse.App{Registry: new(discovery.Memory)}
	appEarly := app.Conn("greeter")
	go func() { got <- hello(appEarly, "early") }()
	run(t, app, svc, greeter())
	for range 2 {
		if answer := <-got; answer != "Hello, early!" {
			t.Errorf("got %q", answer)
		}
	}
}

// TestConnWhileRunBegins makes connections while Run begins to hand its servers out. It is for the race detector.
func TestConnWhileRunBegins(t *testing.T) {
	for range 50 {
		app := &hanse.App{Registry: new(discovery.Memory), Logger: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- app.Run(ctx, greeter()) }()
		if answer := hello(app.Conn("greeter"), "early"); answer != "Hello, early!" {
			t.Errorf("got %q", answer)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestSetUpsCallEachOther holds that a service takes calls of its siblings as soon as its own set-up has returned.
func TestSetUpsCallEachOther(t *testing.T) {
	var mu sync.Mutex
	var order []string
	note := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, s)
	}
	release := make(chan struct{})
	first := greeter()
	first.Name = "first"
	first.Setup = func(ctx context.Context, s *hanse.Service) error {
		<-release // the others wait for it already
		note("first")
		return nil
	}
	second := greeter()
	second.Name = "second"
	second.Setup = func(ctx context.Context, s *hanse.Service) error {
		close(release)
		if got := hello(s.Conn("first"), "second"); got != "Hello, second!" {
			return errors.New(got)
		}
		note("second")
		s.OnStop(func(context.Context) error { note("stop second"); return nil })
		s.OnStop(func(context.Context) error { note("stop second, declared later"); return nil })
		return nil
	}
	third := greeter()
	third.Name = "third"
	third.Setup = func(ctx context.Context, s *hanse.Service) error {
		conn := s.Conn("second")
		if got := hello(conn, "third"); got != "Hello, third!" {
			return errors.New(got)
		}
		note("third")
		s.Go("task", func(ctx context.Context) error {
			note("task")
			<-ctx.Done()
			note("task ends")
			return ctx.Err()
		})
		s.OnStop(func(context.Context) error {
			note("stop third: " + hello(conn, "still there")) // what it was set up with still works
			return nil
		})
		return nil
	}
	run(t, new(hanse.App), third, second, first).end()
	want := []string{"first", "second", "third", "task", "task ends", "stop third: Hello, still there!", "stop second, declared later", "stop second"}
	if !slices.Equal(order, want) {
		t.Errorf("order\n%s\nwant\n%s", strings.Join(order, "\n"), strings.Join(want, "\n"))
	}
}

func TestCycleOfSetUps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no clock runs while a set-up does
		waits := func(name, on string) *hanse.Service {
			s := greeter()
			s.Name = name
			s.Setup = func(ctx context.Context, s *hanse.Service) error {
				_, err := testpb.NewTestServiceClient(s.Conn(on)).UnaryCall(ctx, &testpb.SimpleRequest{})
				return err
			}
			return s
		}
		r := begin(t, &hanse.App{StartTimeout: 100 * time.Millisecond}, waits("cart", "checkout"), waits("checkout", "cart"), greeter(), waits("shop", "nowhere"))
		wantError(t, r.wait(), "not ready after 100ms", "cart waits for checkout", "checkout waits for cart", "shop waits for nowhere", "cart → checkout → cart")
		if strings.Contains(r.err.Error(), "greeter") {
			t.Errorf("greeter waits for nobody: %v", r.err)
		}
	})
}

// TestSetUpsThatDoNotHeedTheirContext holds that a set-up which waits in a call without deadline ends with the start, and that one which
// cannot be ended is named.
func TestSetUpsThatDoNotHeedTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no clock runs while a set-up does
		release := make(chan struct{})
		defer close(release)
		waiting := &hanse.Service{Name: "waiting", Setup: func(_ context.Context, s *hanse.Service) error {
			_, err := testpb.NewTestServiceClient(s.Conn("nowhere")).UnaryCall(context.Background(), &testpb.SimpleRequest{})
			return err
		}}
		began := time.Now()
		r := begin(t, &hanse.App{StartTimeout: 50 * time.Millisecond}, waiting)
		wantError(t, r.wait(), "waiting waits for nowhere")
		if took := time.Since(began); took != 50*time.Millisecond {
			t.Errorf("took %v", took)
		}
		deaf := &hanse.Service{Name: "deaf", Setup: func(context.Context, *hanse.Service) error { <-release; return nil }}
		r = begin(t, &hanse.App{StartTimeout: 50 * time.Millisecond}, deaf)
		wantError(t, r.wait(), "the set-up of deaf has not returned", "set-up of deaf still runs 2s after its context was cancelled")
	})
}

// TestPaths holds that each path can be taken and that the nearest is the default.
func TestPaths(t *testing.T) {
	r := run(t, new(hanse.App), greeter())
	caller := func(path hanse.Path) *hanse.App {
		app := &hanse.App{Registry: r.registry, Path: path}
		t.Cleanup(func() { app.Close() })
		return app
	}
	for _, tt := range []struct {
		app  *hanse.App
		path hanse.Path
	}{
		{r.App, "inprocess"},
		{caller(""), "unix"},
		{caller("unix"), "unix"},
		{caller("tcp"), "tcp"},
	} {
		var info hanse.CallInfo
		_, err := testpb.NewTestServiceClient(tt.app.Conn("greeter")).UnaryCall(t.Context(), &testpb.SimpleRequest{}, &info)
		if err != nil || info.Path != tt.path || info.Service != "greeter" || info.Attempts != 1 {
			t.Errorf("want path %s: %+v, %v", tt.path, info, err)
		}
	}
	socket := r.instances["greeter"].Endpoints[0]
	if !strings.HasPrefix(socket, "unix:///") {
		t.Fatalf("endpoints %v", r.instances["greeter"].Endpoints)
	}
	file := strings.TrimPrefix(socket, "unix://")
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	r.end()
	if _, err := os.Stat(file); err == nil {
		t.Errorf("socket %s was left behind", file)
	}
}

func TestMistakesAllAtOnce(t *testing.T) {
	bad := &hanse.Service{Name: "Bad_Name"}
	twin := &hanse.Service{Name: "twin"}
	twin.Conn("no/name")
	twin.Handle("GET /{x", http.NotFoundHandler())
	twin.Handle("/nil", nil)
	app := &hanse.App{Addr: "8443", Addrs: map[string]string{"twon": ":1"}}
	err := app.Run(t.Context(), bad, twin, &hanse.Service{Name: "twin"}, nil)
	wantError(t, err, `"Bad_Name" cannot be the name`, `two services are named "twin"`, `"no/name" cannot be`, `Handle("GET /{x") at run_test.go:`,
		`Handle("/nil") at run_test.go:`, "has no handler", `did you mean twin?`, `"8443" is no HOST:PORT`, "service 4 of 4 is nil")
}

// TestMistakesInSetUp holds that mistakes of all set-ups are reported together, and that nothing gets ready.
func TestMistakesInSetUp(t *testing.T) {
	mistaken := func(name string) *hanse.Service {
		return &hanse.Service{Name: name, Setup: func(ctx context.Context, s *hanse.Service) error {
			testpb.RegisterTestServiceServer(s, greetServer{})
			testpb.RegisterTestServiceServer(s, greetServer{})
			s.Handle("/"+name, http.NotFoundHandler())
			s.Handle("GET /same", http.NotFoundHandler())
			return nil
		}}
	}
	r := begin(t, new(hanse.App), mistaken("cart"), mistaken("checkout"))
	wantError(t, r.wait(), "service cart:", "service checkout:", "grpc.testing.TestService",
		`Handle("GET /same") at run_test.go:`, "conflicts with", "of service cart", "--addr checkout=HOST:PORT")
	if strings.Contains(r.log.String(), "msg=ready") {
		t.Error("it got ready")
	}
}

func TestSetUpFails(t *testing.T) {
	stopped := make(chan string, 2)
	fine := &hanse.Service{Name: "fine", Setup: func(ctx context.Context, s *hanse.Service) error {
		s.OnStop(func(context.Context) error { stopped <- "fine"; return nil })
		<-ctx.Done() // ends when the other one fails
		return ctx.Err()
	}}
	fails := &hanse.Service{Name: "fails", Setup: func(ctx context.Context, s *hanse.Service) error {
		s.OnStop(func(context.Context) error { stopped <- "fails"; return nil })
		return errTest
	}}
	r := begin(t, new(hanse.App), fine, fails)
	if err := r.wait(); !errors.Is(err, errTest) || err.Error() != "service fails: set-up failed: this went wrong" {
		t.Errorf("Run: %v", err)
	}
	if len(stopped) != 2 {
		t.Errorf("%d OnStop functions were called, want both", len(stopped))
	}
}

func TestPanics(t *testing.T) {
	t.Run("set-up", func(t *testing.T) {
		r := begin(t, new(hanse.App), &hanse.Service{Name: "cart", Setup: func(context.Context, *hanse.Service) error { panic("ouch") }})
		wantError(t, r.wait(), "service cart: set-up failed: panic: ouch")
		if !strings.Contains(r.log.String(), "run_test.go") {
			t.Errorf("the log has no stack:\n%s", r.log)
		}
	})
	t.Run("task", func(t *testing.T) {
		svc := &hanse.Service{Name: "cart"}
		svc.Go("sweep", func(context.Context) error { panic("ouch") })
		r := begin(t, new(hanse.App), svc)
		wantError(t, r.wait(), "task sweep of cart failed: panic: ouch")
		if !strings.Contains(r.log.String(), "run_test.go") || !strings.Contains(r.log.String(), "service=cart") {
			t.Errorf("the log has no stack:\n%s", r.log)
		}
	})
	t.Run("OnStop", func(t *testing.T) {
		svc := &hanse.Service{Name: "cart"}
		svc.OnStop(func(context.Context) error { panic("ouch") })
		r := run(t, new(hanse.App), svc)
		r.stop()
		wantError(t, r.wait(), "service cart: OnStop: panic: ouch")
	})
}

func TestTasks(t *testing.T) {
	svc := &hanse.Service{Name: "cart"}
	svc.Go("returns", func(context.Context) error { return nil }) // is no reason to stop
	fail := make(chan struct{})
	svc.Go("fails", func(context.Context) error { <-fail; return errTest })
	svc.Go("fails to stop", func(ctx context.Context) error {
		<-ctx.Done()
		return errors.New("and so did this")
	})
	r := run(t, new(hanse.App), svc)
	later := make(chan struct{})
	svc.Go("added later", func(ctx context.Context) error { close(later); <-ctx.Done(); return nil })
	<-later
	close(fail)
	if err := r.wait(); !errors.Is(err, errTest) {
		t.Errorf("Run: %v", err)
	}
	wantError(t, r.err, "task fails of cart failed: this went wrong\n", "task fails to stop of cart failed while it was stopped: and so did this")
	svc.Go("too late", func(context.Context) error { t.Error("a task was started after the end"); return nil })
}

func TestOnce(t *testing.T) {
	svc := greeter()
	app := new(hanse.App)
	run(t, app, svc).end()
	wantError(t, app.Run(t.Context(), greeter()), "an App runs once")
	wantError(t, new(hanse.App).Run(t.Context(), svc), "service greeter", "a Service runs once")
	wantError(t, new(hanse.App).Run(t.Context()), "no service to run")
}

func TestDeclarationsAfterSetUp(t *testing.T) {
	svc := greeter()
	run(t, new(hanse.App), svc)
	for name, declare := range map[string]func(){
		"RegisterService": func() { testpb.RegisterTestServiceServer(svc, greetServer{}) },
		"Handle":          func() { svc.Handle("/", http.NotFoundHandler()) },
	} {
		func() {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.Contains(p, name) || !strings.Contains(p, "came after its set-up") {
					t.Errorf("%s: panic %q", name, p)
				}
			}()
			declare()
		}()
	}
}

// TestStopWhileStarting holds that an app can be told to stop before it is ready, which is no failure.
func TestStopWhileStarting(t *testing.T) {
	inSetUp := make(chan struct{})
	r := begin(t, new(hanse.App), &hanse.Service{Name: "slow", Setup: func(ctx context.Context, s *hanse.Service) error {
		close(inSetUp)
		<-ctx.Done()
		return ctx.Err()
	}})
	<-inSetUp
	r.end()
}

func TestClosedApp(t *testing.T) {
	app := &hanse.App{Registry: new(discovery.Memory)}
	conn := app.Conn("nowhere")
	failed := make(chan string)
	go func() { failed <- hello(conn, "x") }()
	if err := app.Close(); err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{<-failed, hello(app.Conn("nowhere"), "x")} {
		if !strings.Contains(got, "Canceled") {
			t.Errorf("call after Close: %q", got)
		}
	}
}

// TestConnOutsideARun holds that calls fail, and neither wait nor panic, where no Run will carry them any more.
func TestConnOutsideARun(t *testing.T) {
	quick := func(t *testing.T, conn *rpc.Conn) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := testpb.NewTestServiceClient(conn).UnaryCall(ctx, new(testpb.SimpleRequest)); status.Code(err) != codes.Canceled {
			t.Errorf("a call: %v", err)
		}
	}
	t.Run("after Run", func(t *testing.T) {
		svc := greeter()
		run(t, new(hanse.App), svc).end()
		quick(t, svc.Conn("catalog"))
	})
	t.Run("Run refused its services", func(t *testing.T) {
		svc := greeter()
		before := svc.Conn("catalog")
		err := new(hanse.App).Run(t.Context(), svc, &hanse.Service{Name: "Not a name"})
		wantError(t, err, "cannot be the name of a service")
		quick(t, before)
		quick(t, svc.Conn("catalog"))
	})
	t.Run("wrong option", func(t *testing.T) {
		svc := greeter()
		conn := svc.Conn("catalog", rpc.WithTLS(new(tls.Config)))
		wantError(t, new(hanse.App).Run(t.Context(), svc), "the option WithTLS is for Dial")
		quick(t, conn)
	})
}
