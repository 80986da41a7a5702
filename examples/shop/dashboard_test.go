package main

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestDashboard looks at the running shop in a real browser: its services are on the map with the calls between them, what is chosen outlives a
// reload, everything can be reached by the keyboard. It keeps pictures for all screens, in the dark and in the light.
func TestDashboard(t *testing.T) {
	shop := observe(t)
	v := shop.look(t)
	v.until("the address has no token", `location.pathname + location.search === "/"`)
	for _, s := range services() {
		v.until(s.Name+" is on the map", fmt.Sprintf(`document.querySelector('.map-nodes a[href="/services/%s"]')`, s.Name))
	}

	// A visit to the storefront is seen as calls.
	visitor := shop.visitor(t)
	for _, path := range []string{"/", "/goods/table", "/products/kontor-mug"} {
		visitor.get(path)
	}
	v.until("the map has a call", `document.querySelector('.map-nodes a[href="/services/storefront"]').innerText.includes("calls catalog") && document.querySelector(".map-edge:not(.stale)")`)
	v.picture("overview")

	// What is chosen is in the address, and outlives a reload.
	v.click("15m", button("15m"))
	v.click("List", button("List"))
	v.until("the address has it", `location.search.includes("window=15m") && location.search.includes("view=list")`)
	v.reload()
	v.until("it is as it was", `[...document.querySelectorAll("main .segments [aria-pressed=true]")].map((e) => e.innerText).join() === "15m,List"`)
	v.until("the list has the call", `[...document.querySelectorAll("[role=table][aria-label=connections] [role=row]")].some((r) => /storefront\s+catalog/.test(r.innerText))`)

	// Everything by the keyboard.
	v.press("?")
	v.until("the help", `document.querySelector("dialog.help[open]")?.innerText.includes("find anything")`)
	v.press(kb.Escape)
	v.until("no help", `!document.querySelector("dialog.help[open]")`)
	v.press("k", chromedp.ModifierCtrl)
	v.until("the palette", `document.activeElement === document.querySelector("dialog.palette[open] input")`)
	v.press("catal")
	v.until("it is found", `document.querySelector("dialog.palette [role=option]")?.innerText.includes("catalog")`)
	v.press(kb.Enter)
	v.until("the page of the service", `location.pathname === "/services/catalog" && document.querySelector("h1").innerText.trim() === "catalog"`)
	v.shows("[role=table][aria-label=methods]", "Catalog/")
	v.shows("[role=table][aria-label=callers]", "storefront")
	v.until("its numbers in one line", `((stats) => stats.length > 4 && new Set(stats.map((s) => s.offsetTop)).size === 1)([...document.querySelectorAll(".service-head .stat")])`)
	v.picture("service")
	v.click("Instances", button("Instances"))
	v.until("its instance", `document.querySelector("[role=table][aria-label=instances] .badge")?.innerText === "ready"`)
	v.click("Resilience", button("Resilience"))
	v.shows("main", "Calls that it serves")
	v.click("another service", `document.querySelector('nav a[href="/services/payment"]')`)
	v.click("Config", button("Config"))
	v.until("its settings", `/payment\.data\s+\S+\s+\S*shop\.yaml:\d+/.test(document.querySelector("[role=table][aria-label=settings]")?.innerText ?? "")`)
	v.picture("config")

	// A page that is paused says so, and goes on.
	v.press("p")
	v.until("it is paused", `document.querySelector(".nav .live").getAttribute("aria-pressed") === "true"`)
	v.press("p")
	v.until("it is live", `document.querySelector(".nav .live").innerText.trim() === "live"`)
}
