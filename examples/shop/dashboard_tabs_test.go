package main

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestDashboardTabs opens more pages of the dashboard at a time than a browser has connections to a host (six): all show what they have, all
// are live, and when the one that has the stream is closed another one has it.
func TestDashboardTabs(t *testing.T) {
	first := observe(t).look(t)
	origin := first.text("location.origin")
	tabs := []*viewer{first}
	for path, title := range map[string]string{
		"/services/catalog": "catalog", "/traces": "Traces", "/logs": "Logs", "/metrics": "Metrics", "/console": "Console", "/?view=list": "Overview", "/?infra=1": "Overview",
	} {
		ctx, cancel := chromedp.NewContext(first.ctx)
		defer cancel()
		v := &viewer{t: t, ctx: ctx, complaints: listen(t, ctx)}
		v.do("open "+path, chromedp.Navigate(origin+path))
		v.until(path+" has its frame", fmt.Sprintf(`document.querySelector("h1")?.innerText.trim() === %q`, title))
		v.until(path+" has the services", `document.querySelector(".nav-services a")`)
		tabs = append(tabs, v)
	}
	told := func() {
		t.Helper()
		tabs[0].until("one page has the stream, and the others wait for it", fmt.Sprintf(
			`(navigator.locks.query().then((q) => window.streams = q.held.length + " " + q.pending.length), window.streams === "1 %d")`, len(tabs)-1))
		for i, v := range tabs {
			v.until(fmt.Sprintf("page %d is live", i), `document.querySelector(".nav .live").innerText.trim() === "live"`)
			if v.text(`document.querySelector("h1").innerText.trim()`) != "Overview" {
				continue // it need not ask for anything
			}
			v.text(`(performance.clearResourceTimings(), window.looked = performance.now())`)
			v.until(fmt.Sprintf("page %d is told of changes", i), `performance.getEntriesByType("resource").some((e) => e.startTime > window.looked && e.name.includes("/api/map"))`)
		}
	}
	told()
	// The one that has the stream is closed: it is the first, which was there when the others came.
	first.do("another address", chromedp.Navigate("about:blank"))
	tabs = tabs[1:]
	told()
}
