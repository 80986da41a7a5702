package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/telemetry"
	"github.com/hanse-go/hanse/telemetry/collector"
	"google.golang.org/grpc"
)

// observed is the whole shop, running in this process, with a collector that it tells all and a dashboard.
type observed struct {
	address  string // host:port where the services are called, and of the storefront's pages
	link     string // what opens the dashboard
	registry *discovery.Local
	config   string // settings of the shop

	env  map[string]string // of telemetry, for what else runs
	app  *hanse.App        // what the shop runs as
	more []*hanse.Service  // what runs beside its services
	page *dashboard.Server // what shows it
}

// observe runs the shop until the test ends. The changes are made before it starts.
func observe(t *testing.T, changes ...func(*observed)) *observed {
	t.Helper()
	listen := func() net.Listener {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return lis
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	run := func(what string, f func() error) {
		work.Go(func() {
			if err := f(); err != nil && ctx.Err() == nil {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	o := &observed{registry: &discovery.Local{Dir: filepath.Join(t.TempDir(), "registry")}, config: settings(t)}
	// Who calls from the console tells nothing of its calls: each has a trace of its own.
	caller := &hanse.App{Registry: o.registry, NoTelemetry: true}
	t.Cleanup(func() { caller.Close() })
	t.Cleanup(func() { cancel(); work.Wait() })
	c := &collector.Collector{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}
	run("the collector", func() error { return c.Run(ctx) })
	if err := c.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	in := listen()
	server := &http.Server{Handler: c.Handler()}
	run("the collector's port", func() error { return server.Serve(in) })
	context.AfterFunc(ctx, func() { server.Close() })

	config := filepath.Join(t.TempDir(), "shop.yaml")
	o.env = map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + in.Addr().String(), "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
		"OTEL_TRACES_SAMPLER": "parentbased_always_on", "OTEL_METRIC_EXPORT_INTERVAL": "1000", "OTEL_BSP_SCHEDULE_DELAY": "200",
		telemetry.MessagesVariable: "16384",
	}
	tell := o.telemetry(t)
	lis := listen()
	o.address = lis.Addr().String()
	o.app = &hanse.App{Listener: lis, ConfigFile: config, Registry: o.registry, AdminAddr: "127.0.0.1:0", Broker: new(events.Memory), Telemetry: tell, AllowFaults: true}
	o.page = &dashboard.Server{Collector: c, System: seen{o.registry}, Conn: func(service string) grpc.ClientConnInterface { return caller.Conn(service) }}
	for _, change := range changes {
		change(o)
	}
	if err := os.WriteFile(config, []byte(o.config), 0o600); err != nil {
		t.Fatal(err)
	}
	serving, stop := context.WithCancel(ctx)
	stopped := make(chan struct{})
	run("the shop", func() error { defer close(stopped); return o.app.Run(serving, append(services(), o.more...)...) })
	t.Cleanup(func() { stop(); <-stopped }) // it tells its last numbers, to a collector that is still there
	page := listen()
	run("the dashboard", func() error { return o.page.Run(ctx, page) })
	o.link = o.page.Link(page.Addr())
	return o
}

func (o *observed) telemetry(t *testing.T) telemetry.Config {
	t.Helper()
	tell, err := telemetry.FromEnv(func(name string) (string, bool) { v, ok := o.env[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	return tell
}

// join runs more services in the shop's system, each in an app of its own, until the test ends, and returns when they are announced.
func (o *observed) join(t *testing.T, more ...*hanse.Service) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	t.Cleanup(func() { cancel(); work.Wait() })
	for _, s := range more {
		app := &hanse.App{Registry: o.registry, AdminAddr: "127.0.0.1:0", Telemetry: o.telemetry(t)}
		work.Go(func() {
			if err := app.Run(ctx, s); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
		})
		ready, seen := context.WithTimeout(t.Context(), patience)
		there := false
		_ = o.registry.Watch(ready, s.Name, func(all []discovery.Instance) { // it ends because it was told to
			if len(all) > 0 && all[0].State == discovery.Ready {
				there = true
				seen()
			}
		})
		if seen(); !there {
			t.Fatalf("%s is not ready", s.Name)
		}
	}
}

// visitor is somebody new in the storefront.
func (o *observed) visitor(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, o.address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t, &http.Client{Transport: transport, Jar: jar}}
}

// buy buys a mug and returns the number of the order.
func (o *observed) buy(t *testing.T) (order string) {
	t.Helper()
	b := o.visitor(t)
	b.get("/")
	b.get("/products/kontor-mug")
	b.add("kontor-mug", "1")
	done := b.post("/checkout", b.checkoutForm(b.get("/checkout")))
	if order = orderNumber.FindString(done); order == "" {
		t.Fatalf("nothing was bought:\n%s", done)
	}
	return order
}

var orderNumber = regexp.MustCompile(`[1-9A-HJ-Z]{4}-[1-9A-HJ-Z]{4}-[1-9A-HJ-Z]{4}`)

// buyInVain tries the same while calls fail.
func (o *observed) buyInVain(t *testing.T) {
	t.Helper()
	b := o.visitor(t)
	b.add("kontor-mug", "1")
	res, err := b.http.PostForm(site+"/checkout", b.checkoutForm(b.get("/checkout")))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode < 400 {
		t.Fatalf("it was bought: %s", res.Status)
	}
}

// fault makes calls of a service fail, as hanse chaos does: settings is what it sends, such as service=payment&error=UNAVAILABLE. DELETE
// ends faults.
func (o *observed) fault(t *testing.T, method, settings string) {
	t.Helper()
	var admin string
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_ = o.registry.Watch(ctx, "payment", func(all []discovery.Instance) { // it ends because it was told to
		if len(all) > 0 {
			admin = all[0].Admin
			cancel()
		}
	})
	req, err := http.NewRequest(method, "http://"+admin+"/debug/faults?"+settings, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer res.Body.Close()
	if text, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		t.Fatalf("fault %s: %s: %s", settings, res.Status, text)
	}
}

// seen is the shop as a dashboard sees a system from outside: what its registry knows.
type seen struct{ registry discovery.Registry }

func (s seen) State(ctx context.Context) (*dashboard.State, error) {
	st := &dashboard.State{Name: "shop", Kind: dashboard.KindRegistry, Ready: true, Services: []dashboard.Service{}, Problems: []string{}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var list []discovery.Instance
	_ = s.registry.Watch(ctx, "", func(all []discovery.Instance) { list = all; cancel() }) // it ends because it was told to
	for _, i := range list {
		n := slices.IndexFunc(st.Services, func(svc dashboard.Service) bool { return svc.Name == i.Service })
		if n < 0 {
			n = len(st.Services)
			st.Services = append(st.Services, dashboard.Service{Name: i.Service})
		}
		st.Services[n].Instances = append(st.Services[n].Instances, dashboard.Instance{
			ID: i.ID, State: string(i.State), Version: i.Version, PID: i.PID, Admin: i.Admin, Endpoints: i.Endpoints, Started: i.Started,
		})
	}
	slices.SortFunc(st.Services, func(a, b dashboard.Service) int { return strings.Compare(a.Name, b.Name) })
	return st, nil
}

func (s seen) Changes(ctx context.Context) <-chan struct{} {
	out := make(chan struct{})
	go func() {
		defer close(out)
		_ = s.registry.Watch(ctx, "", func([]discovery.Instance) {
			select {
			case out <- struct{}{}:
			case <-ctx.Done():
			}
		})
	}()
	return out
}

func (seen) Do(context.Context, dashboard.Action) error {
	return &dashboard.Error{What: "nothing can be done to it from here"}
}
