package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestDocsPage finds a method at /docs, calls it, copies the call into a terminal, and keeps pictures of what it saw.
func TestDocsPage(t *testing.T) {
	allocator := startChromium(t)
	url := serve(t)

	for _, s := range []struct {
		name          string
		width, height int64
	}{{"desktop", 1280, 860}, {"phone", 400, 860}} {
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
			read := func(script string) string {
				t.Helper()
				text, err := chromedp.Run(ctx, chromedp.Evaluate[string](script))
				if err != nil {
					t.Fatalf("%s: %v", script, err)
				}
				return text
			}
			look := func(name string) {
				t.Helper()
				if wide := read(`document.documentElement.scrollWidth + " of " + document.documentElement.clientWidth`); wide != fmt.Sprintf("%d of %[1]d", s.width) {
					t.Errorf("%s is wider than the screen: %s", name, wide)
				}
				for _, scheme := range []string{"light", "dark"} {
					do("in the "+scheme, call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
						Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
					}))
					picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(screenshots, fmt.Sprintf("docs-%s-%s-%s.png", s.name, scheme, name)), picture, 0o644); err != nil {
						t.Error(err)
					}
				}
			}

			do("open",
				call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: s.width, Height: s.height, DeviceScaleFactor: 1.5, Mobile: s.name == "phone"}),
				chromedp.Navigate(url+"/docs"), chromedp.WaitVisible(chromedp.CSS("article.overview")))
			if text := read(`document.querySelector("main").innerText`); !strings.Contains(text, "Catalog knows what the shop sells.") {
				t.Errorf("the comments are not there:\n%s", text)
			}
			look("overview")
			if s.name == "phone" {
				do("the drawer", chromedp.Click(chromedp.CSS("#menu")), chromedp.WaitVisible(chromedp.CSS("#search")))
				look("methods")
			}

			// Search, and go by Enter.
			do("search", chromedp.SendKeys(chromedp.CSS("#search"), "catalog/getproduct"))
			if n := read(`String([...document.querySelectorAll("#list a")].filter((a) => !a.closest("[hidden]")).length)`); n != "1" {
				t.Errorf("%s methods are found", n)
			}
			do("enter", chromedp.SendKeys(chromedp.CSS("#search"), "\r"), chromedp.WaitVisible(chromedp.CSS("article.method")))
			if at := read(`location.hash`); at != "#/shop.catalog.v1.Catalog/GetProduct" {
				t.Errorf("the method is at %s", at)
			}

			// Methods with REST routes are shown by these first, which take the ID in the path.
			send := chromedp.Click(chromedp.CSS("button.send"))
			good, bad := chromedp.WaitVisible(chromedp.CSS(".answer .pill.good")), chromedp.WaitVisible(chromedp.CSS(".answer .pill.bad"))
			do("a call by REST", chromedp.SendKeys(chromedp.CSS(`.try input[name="id"]`), "kontor-mug"), send, good)
			if text := read(`document.querySelector(".answer").innerText`); !strings.Contains(text, "200") || !strings.Contains(text, `"id": "kontor-mug"`) {
				t.Errorf("the answer by REST is\n%s", text)
			}
			if command := read(`document.querySelector(".commands .code").innerText`); !strings.Contains(command, "/v1/products/kontor-mug") {
				t.Errorf("by REST: %s", command)
			}

			// By Connect they take a body.
			byConnect := func(method string) chromedp.Action[chromedp.Void] {
				return evaluate(fmt.Sprintf(`[...document.querySelectorAll("button.route")].find((b) => b.innerText.includes(%q)).click()`, method))
			}
			body := func(text string) chromedp.Action[chromedp.Void] {
				return evaluate(fmt.Sprintf(`{ const t = document.querySelector(".try textarea"); t.value = %q; t.dispatchEvent(new Event("input")); }`, text))
			}
			do("a call", byConnect("Catalog/GetProduct"), body(`{"id": "kontor-mug"}`), send, good)
			if text := read(`document.querySelector(".answer").innerText`); !strings.Contains(text, "200") || !strings.Contains(text, `"id": "kontor-mug"`) {
				t.Errorf("the answer is\n%s", text)
			}
			do("unfold", evaluate(`document.querySelectorAll(".about details").forEach((d) => d.open = true)`))
			look("method")
			do("an error", body(`{"id": "nothing"}`), send, bad)
			if text := read(`document.querySelector(".answer").innerText`); !strings.Contains(text, "404") || !strings.Contains(text, `"code": "not_found"`) {
				t.Errorf("the error is\n%s", text)
			}
			do("a mistake", body(`{"id": `), send)
			if text := read(`document.querySelector(".problem").innerText`); !strings.Contains(text, "JSON") {
				t.Errorf("the mistake is %q", text)
			}

			// What is copied does the same.
			do("again", body(`{"id": "kontor-mug"}`))
			command := read(`document.querySelector(".commands .code").innerText`)
			if _, err := exec.LookPath("curl"); err == nil {
				out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(command, "curl ", "curl -sS --max-time 20 ", 1)).CombinedOutput()
				if err != nil || !strings.Contains(string(out), `"kontor-mug"`) {
					t.Errorf("%s\n%v\n%s", command, err, out)
				}
			}
			do("hanse call", evaluate(`[...document.querySelectorAll(".commands [role=tab]")].find((b) => b.innerText === "hanse call").click()`))
			if command := read(`document.querySelector(".commands .code").innerText`); command != `hanse call catalog/GetProduct '{"id":"kontor-mug"}'` {
				t.Errorf("as hanse call: %s", command)
			}

			// A stream is shown as it comes, and ends with its error.
			do("a stream", chromedp.Navigate(url+"/docs#/shop.orders.v1.Orders/WatchOrder"), chromedp.WaitVisible(chromedp.CSS(".marks .stream")),
				byConnect("Orders/WatchOrder"), body(`{"id": "nothing"}`), send, bad)
			if text := read(`document.querySelector(".answer").innerText`); !strings.Contains(text, `"code"`) {
				t.Errorf("the end of the stream is\n%s", text)
			}
			look("stream")
			for _, c := range complaints() {
				if !strings.Contains(c, "404") && !strings.Contains(c, "400") { // the errors above
					t.Errorf("the browser complains: %s", c)
				}
			}
		})
	}
}
