package main

import (
	"strings"
	"testing"
	"time"

	greeterv1 "github.com/hanse-go/hanse/examples/hello/proto/greeter/v1"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/e2e/tavern/guild"
	"github.com/hanse-go/hanse/telemetry/collector"
)

// TestAdviceNote has a waiter ask the menu for each dish of an order: the map has a note on the two, which says what they would save together and
// leads to an example, and goes when it is not wanted.
func TestAdviceNote(t *testing.T) {
	shop := observe(t)
	shop.join(t, guild.Services()...)
	caller := &hanse.App{Registry: shop.registry, NoTelemetry: true}
	defer caller.Close()
	waiter := greeterv1.NewGreeterClient(caller.Conn("waiter"))
	const dishes = "herring bread cheese eel soup beer pork peas"
	for range 3 {
		if _, err := waiter.Hello(t.Context(), &greeterv1.HelloRequest{Name: dishes}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := greeterv1.NewGreeterClient(caller.Conn("kitchen")).Hello(t.Context(), &greeterv1.HelloRequest{Name: "herring"}); err != nil {
		t.Fatal(err)
	}
	// Whole traces are kept before the page is opened: what it is told of them then is not told anew for a while.
	spans := 1 + 2*len(strings.Fields(dishes))
	for deadline := time.Now().Add(patience); ; <-time.After(20 * time.Millisecond) {
		page, err := shop.page.Collector.Traces(t.Context(), collector.TraceQuery{})
		if err != nil {
			t.Fatal(err)
		}
		whole := 0
		for _, tr := range page.Traces {
			if tr.Spans == spans || tr.Spans == 5 {
				whole++
			}
		}
		if whole == 4 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the traces are not kept: %+v", page.Traces)
		}
	}

	v := shop.look(t)
	mark := `document.querySelector('.map-mark[aria-label*="note on waiter to menu: "]')`
	v.until("a note on the map, with how often", mark+`?.innerText.includes("8 calls each")`)
	v.until("one on the circle", `[...document.querySelectorAll(".map-mark")].filter((m) => m.innerText.trim() === "circle").length === 1`)
	v.until("no others", `document.querySelectorAll(".map-mark").length === 2`)
	v.shows(".advice-line", "2 notes on how services call each other")
	v.click("the note", mark)
	note := `document.querySelector(".advice[aria-label=note]")`
	v.until("what is wrong", note+`?.querySelector("strong").innerText.startsWith("waiter calls greeter.v1.Greeter/Hello 8 times for one ")`)
	v.until("what would be saved", `/In one process a request would save [\d.]+ (µs|ms) \([\d.]+ % of it\) and [\d.]+ µs to [\d.]+ (µs|ms) of CPU/.test(`+note+`.innerText.replace(/\s+/g, " "))`)
	v.shows(".advice .command code", "--services=menu,waiter")
	v.until("it says that it is open", mark+`.getAttribute("aria-expanded") === "true"`)
	v.picture("advice")
	v.reload()
	v.until("the same after a reload", note+`?.innerText.includes("--services=menu,waiter")`)
	v.click("the next", `[...document.querySelectorAll(".advice button")].find((b) => /^[12] of 2, next$/.test(b.innerText))`)
	v.until("the circle", note+`.innerText.includes("--services=kitchen,pantry")`)
	v.click("the note", mark)
	v.click("the example", note+`.querySelector("a[href^='/traces/']")`)
	v.until("a trace with all the calls", `[...document.querySelectorAll("[role=treeitem]")].filter((s) => /^menu\s+Greeter.Hello\s[^]*, server/.test(s.innerText)).length === 8`)

	// Who wants none has none, also after a reload.
	v.open("/")
	v.click("no notes", `document.querySelector('.advice-line button[aria-label="no notes on the map"]')`)
	v.until("none", `location.search === "?advice=off" && !document.querySelector(".map-mark, .advice-line, .advice")`)
	v.reload()
	v.until("the map", `document.querySelectorAll(".map-edge:not(.stale)").length > 0`)
	v.until("still none", `!document.querySelector(".map-mark, .advice-line, .advice")`)
}
