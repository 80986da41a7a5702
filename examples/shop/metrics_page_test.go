package main

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// TestMetricsPage charts the durations of calls by their methods, and opens a call that was measured.
func TestMetricsPage(t *testing.T) {
	shop := observe(t)
	v := shop.look(t)
	shop.buy(t)
	v.press("gm")
	v.until("the page", `location.pathname === "/metrics"`)
	name := one(".metric-name", "rpc.server.call.duration")
	v.until("the numbers of the process", one(".metric-name", "go.goroutine.count"))
	v.fill("the search", one("input", "search metrics"), "rpc.server")
	v.until("those that fit", `!`+one(".metric-name", "go.goroutine.count")+` && `+name)
	v.click("durations of calls", name)
	v.until("a chart", `document.querySelector(".chart .plot canvas")`)
	v.choose("lines of rpc.server.call.duration", "rpc.method")
	v.shows(".chart .legend", "shop.checkout.v1.Checkout/PlaceOrder")
	v.choose("statistic of rpc.server.call.duration", "p50")
	v.until("it says so", `document.querySelector(".chart .plot").ariaLabel.startsWith("rpc.server.call.duration, p50")`)
	v.until("numbers", `/PlaceOrder [\d.]+ (µs|ms|s)/.test(document.querySelector(".chart .plot").ariaLabel)`)
	v.fill("the search", one("input", "search metrics"), "goroutine")
	v.click("goroutines", one(".metric-name", "go.goroutine.count"))
	v.until("two charts", `document.querySelectorAll(".chart .plot canvas").length === 2`)
	v.reload()
	v.until("the same after a reload", `document.querySelectorAll(".chart .plot canvas").length === 2 && document.querySelector(".chart .plot").ariaLabel.startsWith("rpc.server.call.duration, p50")`)
	v.shows(".chart .legend", "shop.checkout.v1.Checkout/PlaceOrder")
	v.picture("metrics")

	// A diamond on a chart is a call that was measured: it leads to its trace. The page stands still meanwhile.
	v.press("p")
	v.until("it is paused", `document.querySelector(".nav .live").getAttribute("aria-pressed") === "true"`)
	diamond := func() []float64 {
		at, err := chromedp.Run(v.ctx, chromedp.Evaluate[[]float64](`((over) => {
			over.scrollIntoView({block: "center"});
			const box = over.getBoundingClientRect();
			const hit = (x, y) => {
				over.dispatchEvent(new MouseEvent("mousemove", {clientX: box.x + x, clientY: box.y + y, bubbles: true}));
				return over.style.cursor === "pointer" && over.title.endsWith(": open its trace");
			};
			for (let y = 3; y < box.height - 3; y += 2) for (let x = 3; x < box.width - 3; x += 2) {
				// Not where it just begins, as a click is at whole pixels, and not at the very edge, where uPlot takes a click for a drag.
				if (hit(x, y) && [-2, 2].every((by) => hit(x + by, y) && hit(x, y + by))) return [box.x + x, box.y + y];
			}
			return [];
		})(document.querySelector(".chart .u-over"))`))
		if err != nil || len(at) != 2 {
			t.Fatalf("no diamond is on the chart: %v, %v", at, err)
		}
		return at
	}
	at := diamond()
	v.do("a click on a diamond", chromedp.MouseClickXY(at[0], at[1]))
	trace := `/^\/traces\/[0-9a-f]{32}$/.test(location.pathname) && /^\?span=[0-9a-f]{16}$/.test(location.search)`
	v.until("its trace, and the span", trace+` && document.querySelector(".wf-row.active") && document.querySelector(".details")`)
	v.do("back", evaluate(`history.back()`))
	v.until("the charts", `document.querySelectorAll(".chart .plot canvas").length === 2`)
	v.press("p")
	v.click("close a chart", button("close go.goroutine.count"))
	v.until("one chart", `document.querySelectorAll(".chart .plot canvas").length === 1`)
	v.click("an exemplar", `document.querySelector(".exemplar")`)
	v.until("its trace", `/^\/traces\/[0-9a-f]{32}$/.test(location.pathname) && document.querySelector(".wf-row.active") && document.querySelector(".details")`)
}
