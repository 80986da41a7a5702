package main

import (
	"fmt"
	"strings"
	"testing"
)

// purchase is who calls whom when something is bought, and whom an order is told to, as the code of the shop has it.
var purchase = []string{
	"checkout cart RPC",
	"checkout catalog RPC",
	"checkout orders RPC",
	"checkout payment RPC",
	"checkout shipping RPC",
	"orders orders.placed event",
	"orders shipping RPC",
	"orders.placed email event",
	"orders.placed loyalty event",
	"orders.placed stock event",
	"recommendation catalog RPC",
	"storefront cart RPC",
	"storefront catalog RPC",
	"storefront checkout RPC",
	"storefront currency RPC",
	"storefront loyalty RPC",
	"storefront orders RPC",
	"storefront recommendation RPC",
	"storefront shipping RPC",
	"storefront stock RPC",
}

// TestMap wants on the live map what happens for a purchase, and nothing else.
func TestMap(t *testing.T) {
	shop := observe(t)
	v := shop.look(t)
	shop.buy(t)
	// On the map an event goes from service to service, so that a topic is three lines and no place.
	v.until("all lines", fmt.Sprintf(`document.querySelectorAll(".map-edge.dashed").length === 3 && document.querySelectorAll(".map-edge").length === %d`, len(purchase)-4+3))
	v.until("whom the storefront calls", `[...document.querySelector('.map-nodes a[href="/services/storefront"]').innerText.matchAll(/cart|catalog|checkout|currency|loyalty|orders|recommendation|shipping|stock/g)].length === 9`)
	v.picture("map")
	v.click("List", button("List"))
	v.until("these connections: "+strings.Join(purchase, ", "), fmt.Sprintf(`%s.map((r) => [...r.querySelectorAll("[role=cell]")].slice(0, 3).map((c) => c.innerText.trim()).join(" ")).sort().join() === %q`,
		rowsOf("connections"), strings.Join(purchase, ",")))
}

// TestThreeClicks finds out why nothing can be bought, from the overview to the line in the log.
func TestThreeClicks(t *testing.T) {
	shop := observe(t)
	v := shop.look(t)
	v.shows("main", "Nothing is wrong now")
	shop.fault(t, "POST", "service=payment&error=UNAVAILABLE")
	for range 3 {
		shop.buyInVain(t)
	}
	problem := `[...document.querySelectorAll(".problem")].find((p) => p.querySelector("strong").innerText.endsWith("of calls to Payments/Charge"))`
	v.until("what is wrong, and why", problem+`?.innerText.includes("errors on purpose")`)
	v.picture("problem")
	v.clicks = 0
	v.click("its trace", problem+`?.querySelector("a[href^='/traces/']")`)
	v.click("the lines of the trace", button("1 line"))
	v.click("the line", `[...document.querySelectorAll(".trace-logs a")].find((a) => a.innerText === "refund is left to the clerk")`)
	v.until("the line, with its reason", `location.pathname === "/logs" && document.querySelector(".log-details")?.innerText.includes("errors on purpose")`)
	if v.clicks != 3 {
		t.Errorf("it took %d clicks, want 3", v.clicks)
	}
}
