package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/events"
)

// screenshots is where pictures of the pages are kept. It is not committed.
const screenshots = "../screenshots"

// chromium returns the browser to test with: $HANSE_CHROMIUM, else one that is installed.
func chromium(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("HANSE_CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("HANSE_CI") != "" {
		t.Fatal("no Chromium: install it, or set HANSE_CHROMIUM to its path")
	}
	t.Skip("no Chromium, so the pages are not looked at: install it, or set HANSE_CHROMIUM to its path")
	return ""
}

// serve runs the whole shop in this process and returns its address.
func serve(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "shop.yaml")
	text := strings.Replace(settings(t), "step: 100ms", "step: 700ms", 1) // slow enough to be seen
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	app := &hanse.App{Listener: lis, ConfigFile: config, Docs: true, Broker: new(events.Memory)}
	go func() { ended <- app.Run(ctx, services()...) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	url := "http://" + lis.Addr().String()
	deadline := time.After(20 * time.Second)
	for {
		res, err := http.Get(url)
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				http.DefaultClient.CloseIdleConnections()
				return url
			}
		}
		select {
		case err := <-ended:
			t.Fatalf("the shop ended: %v", err)
		case <-deadline:
			t.Fatalf("the shop is not ready: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// screens are what the shop is looked at on.
var screens = []struct {
	name          string
	width, height int64
	scale         float64
	mobile        bool
}{
	{"desktop", 1280, 900, 1, false},
	{"phone", 390, 844, 1.5, true},
}

// startChromium prepares a browser for pictures, whose windows chromedp.NewContext opens.
func startChromium(t *testing.T) (allocator context.Context) {
	t.Helper()
	program := chromium(t)
	if err := os.MkdirAll(screenshots, 0o755); err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("hide-scrollbars", true))
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(end)
	return allocator
}

// TestBrowser buys something in a real browser, by clicking, on a desktop and on a phone, and keeps pictures of what it saw, in the light
// and in the dark. Nothing may be refused by the content security policy, and no page may be wider than the screen.
func TestBrowser(t *testing.T) {
	allocator := startChromium(t)
	url := serve(t)

	for _, s := range screens {
		t.Run(s.name, func(t *testing.T) {
			ctx, cancel := chromedp.NewContext(allocator)
			defer cancel()
			complaints := listen(t, ctx)

			do := func(what string, actions ...chromedp.Action[chromedp.Void]) {
				t.Helper()
				ctx, stop := context.WithTimeout(ctx, 20*time.Second)
				defer stop()
				if err := chromedp.Do(ctx, actions...); err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
			// follow clicks and waits for the page that comes.
			follow := func(selector string) {
				t.Helper()
				ctx, stop := context.WithTimeout(ctx, 20*time.Second)
				defer stop()
				if _, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector))); err != nil {
					t.Fatalf("a click on %s: %v", selector, err)
				}
			}
			n := 0
			look := func(name string) {
				t.Helper()
				n++
				do("pictures of "+name,
					chromedp.WaitReady(chromedp.CSS("footer .served")),
					evaluate(`document.querySelectorAll("img[loading=lazy]").forEach((i) => i.loading = "eager")`),
					evaluate(`Promise.all([...document.images].map((i) => i.decode())).then(() => true)`))
				wide, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > document.documentElement.clientWidth`))
				if err != nil || wide {
					t.Errorf("%s is wider than the screen: %v, %v", name, wide, err)
				}
				for _, scheme := range []string{"dark", "light"} {
					do("in the "+scheme, call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
						Features: []*emulation.MediaFeature{
							{Name: "prefers-color-scheme", Value: scheme},
							{Name: "prefers-reduced-motion", Value: "reduce"}, // a picture in the middle of a change shows neither
						},
					}))
					picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
					if err != nil {
						t.Fatal(err)
					}
					file := filepath.Join(screenshots, fmt.Sprintf("%s-%s-%02d-%s.png", s.name, scheme, n, name))
					if err := os.WriteFile(file, picture, 0o644); err != nil {
						t.Error(err)
					}
				}
			}
			do("open",
				call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
					Width: s.width, Height: s.height, DeviceScaleFactor: s.scale, Mobile: s.mobile,
				}),
				chromedp.Navigate(url))
			look("home")
			follow(`a[href="/goods/table"]`)
			look("category")
			follow(`a[href="/products/kontor-mug"]`)
			look("product")
			do("a quantity", chromedp.SetValue(chromedp.CSS("#quantity"), "2"))
			follow(".buy button")
			do("a message", chromedp.WaitVisible(chromedp.CSS(".flash.good")))
			// Another page of the visitor changes the cart: this one hears of it when it is seen again.
			do("the cart of another page", evaluate(`(async () => {
				const body = new URLSearchParams({product: "kontor-mug", quantity: "1", request_id: crypto.randomUUID()});
				if (!(await fetch("/cart/items", {method: "POST", body})).ok) throw "the cart is as it was";
				document.dispatchEvent(new Event("visibilitychange"));
				for (const end = Date.now() + 10000; !document.querySelector(".own .count")?.textContent.startsWith("3");) {
					if (Date.now() > end) throw "the page says " + document.querySelector(".own").textContent;
					await new Promise(requestAnimationFrame);
				}
			})()`))
			do("the next product", chromedp.Navigate(url+"/products/amber-drop-pendant"))
			follow(".buy button")
			follow(`.own a[href="/cart"]`)
			look("cart")
			follow(`a[href="/checkout"]`)
			do("the form", chromedp.Click(chromedp.CSS("#example")))
			look("checkout")
			follow("#order button.large")
			look("order")
			do("live status, without a reload", chromedp.WaitVisible(chromedp.CSS(".steps li:last-child.now")))
			do("points, without a reload", chromedp.WaitVisible(chromedp.CSS("#points b")))
			look("delivered")
			follow(`.own a[href="/mailbox"]`)
			do("a letter", chromedp.WaitVisible(chromedp.CSS(".letter .body")))
			look("mailbox")
			follow(`.own a[href="/orders"]`)
			look("orders")
			do("words", chromedp.SendKeys(chromedp.CSS("#q"), "amber"))
			follow(".search button")
			look("search")
			do("nothing", chromedp.Navigate(url+"/products/nothing"))
			look("nothing")
			for _, c := range complaints() {
				if !strings.Contains(c, "404") { // the last page
					t.Errorf("the browser complains: %s", c)
				}
			}
		})
	}
}

// evaluate runs a script, and waits for what it promises.
func evaluate(script string) chromedp.Action[chromedp.Void] {
	run := chromedp.Evaluate[any](script, chromedp.EvalAwaitPromise)
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := run(ctx, target)
		return chromedp.Void{}, err
	}
}

// call sends a command to the browser.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, command, params)
		return chromedp.Void{}, err
	}
}

// listen returns what the browser complained about until then: refused content, failed scripts, failed requests.
func listen(t *testing.T, ctx context.Context) (complaints func() []string) {
	t.Helper()
	var mu sync.Mutex
	var all []string
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return // the browser is closed
			}
			mu.Lock()
			all = append(all, m.String())
			mu.Unlock()
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}
