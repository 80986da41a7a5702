package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/telemetry"
	"github.com/hanse-go/hanse/telemetry/collector"
)

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

// observe runs the shop in this process, with a collector that it tells all and a dashboard, and returns the
// dashboard's link.
func observe(t *testing.T) (link string) {
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
	if err := os.WriteFile(config, []byte(settings(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + in.Addr().String(), "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
		"OTEL_TRACES_SAMPLER": "parentbased_always_on", "OTEL_METRIC_EXPORT_INTERVAL": "1000", "OTEL_BSP_SCHEDULE_DELAY": "200",
	}
	tell, err := telemetry.FromEnv(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	registry := new(discovery.Memory)
	lis := listen()
	app := &hanse.App{Listener: lis, ConfigFile: config, Registry: registry, AdminAddr: "127.0.0.1:0", Broker: new(events.Memory), Telemetry: tell}
	run("the shop", func() error { return app.Run(ctx, services()...) })
	page := listen()
	d := &dashboard.Server{Collector: c, System: seen{registry}}
	run("the dashboard", func() error { return d.Run(ctx, page) })
	return d.Link(page.Addr())
}

// TestDashboard looks at the running shop in a real browser: its services are on the map, what is chosen outlives a reload, everything can be
// reached by the keyboard. It keeps pictures for all screens, in the dark and in the light.
func TestDashboard(t *testing.T) {
	allocator := startChromium(t)
	link := observe(t)
	ctx, cancel := chromedp.NewContext(allocator)
	defer cancel()
	complaints := listen(t, ctx)
	const patience = 60 * time.Second
	do := func(what string, actions ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		ctx, stop := context.WithTimeout(ctx, patience)
		defer stop()
		if err := chromedp.Do(ctx, actions...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	// until waits until an expression of JavaScript is true.
	until := func(what, expression string) {
		t.Helper()
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.After(patience); ; {
			if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")")); err == nil && ok { // between two pages there is an error
				return
			}
			select {
			case <-tick.C:
			case <-deadline:
				text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
				t.Fatalf("waited in vain: %s; the page says\n%s", what, text)
			}
		}
	}
	click := func(text string) {
		t.Helper()
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		find := `[...document.querySelectorAll("main button, main a")].find((e) => e.innerText.trim() === ` + string(quoted) + `)`
		until("there is "+text, find)
		do("a click on "+text, evaluate(find+".click()"))
	}
	press := func(key string, ctrl bool) {
		t.Helper()
		do("key "+key, evaluate(fmt.Sprintf(`document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: %q, ctrlKey: %v, bubbles: true, cancelable: true}))`, key, ctrl)))
	}
	screen := func(width int64, theme string) {
		t.Helper()
		do(fmt.Sprint(width, " px, ", theme),
			call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 1000, DeviceScaleFactor: 1, Mobile: width < 600}),
			call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
				{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
			}}))
	}
	look := func(name string) {
		t.Helper()
		for _, width := range []int64{1440, 1024, 400} {
			for _, theme := range []string{"dark", "light"} {
				screen(width, theme)
				until("the theme", fmt.Sprintf(`document.documentElement.dataset.theme === %q`, theme))
				do("a frame", evaluate(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`))
				wide, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > innerWidth || main.scrollWidth > main.clientWidth`))
				if err != nil || wide {
					t.Errorf("%s is wider than a screen of %d px: %v, %v", name, width, wide, err)
				}
				picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(screenshots, fmt.Sprintf("dashboard-%s-%d-%s.png", name, width, theme)), picture, 0o644); err != nil {
					t.Error(err)
				}
			}
		}
		screen(1440, "dark")
	}

	screen(1440, "dark")
	do("open", chromedp.Navigate(link))
	names := make([]string, 0)
	for _, s := range services() {
		names = append(names, s.Name)
	}
	for _, name := range names {
		until(name+" is ready", fmt.Sprintf(`document.querySelector('nav a[href="/services/%s"] [aria-label=ready]')`, name))
		until(name+" is on the map", fmt.Sprintf(`document.querySelector('.map-nodes a[href="/services/%s"]')`, name))
	}
	until("the address has no token", `location.pathname + location.search === "/"`)

	look("overview")

	// What is chosen is in the address, and outlives a reload.
	click("15m")
	click("List")
	until("the address has it", `location.search.includes("window=15m") && location.search.includes("view=list")`)
	do("reload", chromedp.Reload())
	until("it is as it was", `[...document.querySelectorAll("main .segments [aria-pressed=true]")].map((e) => e.innerText).join() === "15m,List"`)

	// Everything by the keyboard.
	press("?", false)
	until("the help", `document.querySelector("dialog.help[open]")?.innerText.includes("find anything")`)
	do("close", evaluate(`document.querySelector("dialog.help").close()`))
	press("k", true)
	until("the palette", `document.activeElement === document.querySelector("dialog.palette[open] input")`)
	do("words", chromedp.SendKeys(chromedp.CSS("dialog.palette input"), "catal"))
	until("it is found", `document.querySelector("dialog.palette [role=option]")?.innerText.includes("catalog")`)
	press("Enter", false)
	until("the page of the service", `location.pathname === "/services/catalog" && document.querySelector("h1").innerText.trim() === "catalog"`)
	look("service")
	click("Instances")
	until("its instance", `document.querySelector("[role=table][aria-label=instances] .badge")?.innerText === "ready"`)
	click("Resilience")
	until("its policies", `document.querySelector("main").innerText.includes("Calls that it serves")`)
	do("its caller", evaluate(`document.querySelector('nav a[href="/services/payment"]').click()`))
	click("Config")
	until("its settings", `/payment\.data\s+\S+\s+\S*shop\.yaml:\d+/.test(document.querySelector("[role=table][aria-label=settings]")?.innerText ?? "")`)
	look("config")

	// A page that is paused says so, and goes on.
	press("p", false)
	until("it is paused", `document.querySelector(".nav .live").getAttribute("aria-pressed") === "true"`)
	press("p", false)
	until("it is live", `document.querySelector(".nav .live").innerText.trim() === "live"`)
	for _, c := range complaints() {
		if !strings.Contains(c, "404") { // of a service of which no call was told
			t.Errorf("the browser complains: %s", c)
		}
	}
}
