package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestDashboardTabs opens more pages of the dashboard at a time than a browser has connections to a host (six): all show what they have, all
// are live, and when the one that has the stream is closed another one has it.
func TestDashboardTabs(t *testing.T) {
	allocator := startChromium(t)
	link := observe(t)
	first, cancel := chromedp.NewContext(allocator)
	defer cancel()
	const patience = 60 * time.Second
	open := func(ctx context.Context, url string) {
		t.Helper()
		ctx, stop := context.WithTimeout(ctx, patience)
		defer stop()
		if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
			t.Fatalf("%s: %v", url, err)
		}
	}
	until := func(ctx context.Context, what, expression string) {
		t.Helper()
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.After(patience); ; {
			// A page that waits for a connection answers nothing at all.
			one, stop := context.WithTimeout(ctx, patience)
			ok, err := chromedp.Run(one, chromedp.Evaluate[bool]("!!("+expression+")"))
			stop()
			if err == nil && ok {
				return
			}
			select {
			case <-tick.C:
			case <-deadline:
				text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
				t.Log(err)
				t.Fatalf("waited in vain: %s; the page says\n%s", what, text)
			}
		}
	}
	const live = `document.querySelector(".nav .live").innerText.trim() === "live" && document.querySelectorAll(".nav-services a").length > 0`

	open(first, link)
	until(first, "the first page", live)
	base, err := chromedp.Run(first, chromedp.Evaluate[string]("location.origin"))
	if err != nil {
		t.Fatal(err)
	}
	type tab struct {
		ctx   context.Context
		close context.CancelFunc
		title string
	}
	tabs := []tab{{first, cancel, "Overview"}}
	for path, title := range map[string]string{
		"/services/catalog": "catalog", "/traces": "Traces", "/logs": "Logs", "/metrics": "Metrics", "/?view=list": "Overview", "/?infra=1": "Overview", "/logs?q=x": "Logs",
	} {
		ctx, close := chromedp.NewContext(first)
		defer close()
		open(ctx, base+path)
		tabs = append(tabs, tab{ctx, close, title})
	}
	for i, p := range tabs {
		until(p.ctx, fmt.Sprintf("page %d, %s, is there", i, p.title), fmt.Sprintf(`document.querySelector("h1")?.innerText.trim() === %q && %s`, p.title, live))
	}
	// One has the stream, and all are told by it.
	told := func(tabs []tab) {
		t.Helper()
		until(tabs[0].ctx, "one page has the stream", fmt.Sprintf(`(window.streams = undefined, navigator.locks.query().then((q) => window.streams = q.held.length + " " + q.pending.length), true)`))
		until(tabs[0].ctx, "the others wait for it", fmt.Sprintf(`window.streams === "1 %d"`, len(tabs)-1))
		for i, p := range tabs {
			until(p.ctx, fmt.Sprintf("page %d is live", i), live)
			if p.title != "Overview" { // others need not ask for anything
				continue
			}
			until(p.ctx, "a look at the clock", `(performance.clearResourceTimings(), window.looked = performance.now())`)
			until(p.ctx, fmt.Sprintf("page %d is told of changes", i), `performance.getEntriesByType("resource").some((e) => e.startTime > window.looked && e.name.includes("/api/map"))`)
		}
	}
	told(tabs)
	for range 2 {
		tabs[0].close()
		tabs = tabs[1:]
		told(tabs)
	}
}
