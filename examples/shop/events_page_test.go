package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/desk"
	"github.com/hanse-go/hanse/examples/shop/orders"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
)

// auditor is a service that hears of orders beside those of the shop, and refuses them when it is told to.
type auditor struct {
	service *hanse.Service
	joined  chan *events.Subscription // once
	closed  atomic.Bool               // it refuses
	heard   chan string               // numbers of orders that it has taken
}

func newAuditor() *auditor {
	a := &auditor{joined: make(chan *events.Subscription, 1), heard: make(chan string, 100)}
	a.service = &hanse.Service{Name: "audit", Setup: func(_ context.Context, s *hanse.Service) error {
		a.joined <- orders.Placed.Subscribe(s, "audit", a.hear, events.Start{All: true})
		return nil
	}}
	return a
}

func (a *auditor) hear(_ context.Context, e *events.Event[*ordersv1.Placed]) error {
	if a.closed.Load() {
		return events.Permanent(errors.New("the ledger is closed"))
	}
	a.heard <- e.Data.GetOrder().GetId()
	return nil
}

// hears waits until it has taken these orders, once each and no other.
func (a *auditor) hears(t *testing.T, want ...string) {
	t.Helper()
	deadline := time.After(patience)
	var got []string
	for range want {
		select {
		case order := <-a.heard:
			got = append(got, order)
		case <-deadline:
			t.Fatalf("the auditor has heard of %q, want %q", got, want)
		}
	}
	slices.Sort(got)
	if want = slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
		t.Errorf("the auditor has heard of %q, want %q", got, want)
	}
}

// hearsNothing holds that it was called by nobody since.
func (a *auditor) hearsNothing(t *testing.T, when string) {
	t.Helper()
	if n := len(a.heard); n > 0 {
		t.Errorf("%s the auditor has heard of %d orders", when, n)
	}
}

// consumer is what the page says of a consumer in a column of the topics, as an expression.
func consumer(name, column string) string {
	return fmt.Sprintf(`((table) => {
		const columns = [...(table?.querySelectorAll("[role=columnheader]") ?? [])].map((e) => e.textContent.trim());
		const cells = [...(table?.querySelectorAll("[role=row]") ?? [])].map((r) => [...r.querySelectorAll("[role=cell]")].map((e) => e.textContent.trim()));
		return cells.find((row) => row[columns.indexOf("Consumer")]?.split(",")[0] === %q)?.[columns.indexOf(%q)];
	})(document.querySelector("[role=table][aria-label=topics]"))`, name, column)
}

// TestEventsPage looks at topics and messages of a real backplane, at a consumer that does not come after, has it handle events once more, and
// redelivers and drops what could not be handled.
func TestEventsPage(t *testing.T) {
	change, broker, _ := onBackplane(t)
	audit := newAuditor()
	shop := observe(t, change, func(o *observed) { o.more = append(o.more, audit.service) })
	v := shop.look(t)
	joined := <-audit.joined
	v.press("ge")
	v.until("the page", `location.pathname === "/events"`)
	for _, name := range []string{"loyalty", "email", "stock", "audit"} {
		v.until(name+" is there, and waits for nothing", consumer(name, "Lag")+` === "0"`)
	}

	t.Log("messages, decoded")
	first := shop.buy(t)
	audit.hears(t, first)
	v.click("the topic", `[...document.querySelectorAll("[role=table][aria-label=topics] b")].find((e) => e.innerText === "orders.placed")`)
	v.until("the address has it", `location.search === "?topic=orders.placed"`)
	row := func(text string) string {
		return fmt.Sprintf(`[...document.querySelectorAll(".event-row")].find((e) => e.innerText.includes(%q))`, text)
	}
	v.click("its message", row(first)+`?.querySelector("summary")`)
	for _, field := range []string{`"id": "` + first + `"`, `"name": "Johann Buddenbrook"`, `"city": "Lübeck"`} {
		v.until(field, fmt.Sprintf(`%s?.querySelector(".message-body .json")?.innerText.includes(%q)`, row(first), field))
	}
	v.until("its trace", row(first)+`.querySelector('.message-body a[href^="/traces/"]')`)
	v.picture("events")

	t.Log("a consumer that does not come after")
	joined.Pause()
	second, third := shop.buy(t), shop.buy(t)
	v.until("what waits for it", consumer("audit", "Lag")+` === "2" && `+consumer("audit", "Oldest")+` !== ""`)
	v.until("others do not wait for it", consumer("loyalty", "Lag")+` === "0"`)
	audit.hearsNothing(t, "while it was paused")
	joined.Resume()
	audit.hears(t, second, third)
	v.until("nothing waits", consumer("audit", "Lag")+` === "0"`)

	t.Log("dead letters")
	audit.closed.Store(true)
	fourth, fifth := shop.buy(t), shop.buy(t)
	v.until("there are two", `/Drop all[^]*#[^]*#/.test(document.querySelector("main").innerText)`)
	for _, order := range []string{fourth, fifth} {
		letter := fmt.Sprintf(`[...document.querySelectorAll(".event-row")].find((e) => e.querySelector("summary").innerText.includes("the ledger is closed") && e.textContent.includes(%q))`, order)
		v.until("why "+order+" is one", letter+`?.textContent.includes("audit, after 1 attempt: the ledger is closed")`)
	}
	audit.closed.Store(false)
	v.click("redeliver all", button("Redeliver all"))
	v.shows("main [role=status]", "Redeliver 2 dead letters: 2 of audit?")
	v.click("no", button("No"))
	v.click("redeliver all, again", button("Redeliver all"))
	v.shows("main [role=status]", "Redeliver 2 dead letters: 2 of audit?")
	audit.hearsNothing(t, "when they were counted")
	v.click("yes", button("Yes, redeliver"))
	audit.hears(t, fourth, fifth)
	v.until("none is left", `!document.querySelector("main").innerText.includes("Dead letters")`)
	v.shows(".event-row", "once more for audit")
	v.until("they are settled", consumer("audit", "Lag")+` === "0"`)

	audit.closed.Store(true)
	sixth := shop.buy(t)
	v.shows(".event-row", "the ledger is closed")
	audit.closed.Store(false)
	v.click("the letter", row("the ledger is closed")+`?.querySelector("summary")`)
	v.click("redeliver it", button("Redeliver"))
	audit.hears(t, sixth)
	v.until("none is left", `!document.querySelector("main").innerText.includes("Dead letters")`)

	t.Log("replay")
	v.choose("consumer", "audit")
	v.click("count", button("Count"))
	v.until("what is counted", `/^6 events: #1 to #\d+, stored from .* 3 redeliveries left out\./.test(document.querySelector("main [role=status] span")?.innerText ?? "")`)
	audit.hearsNothing(t, "when events were counted")
	v.click("do it", button("Have audit handle them once more"))
	v.shows("body", "6 events redelivered to audit")
	audit.hears(t, first, second, third, fourth, fifth, sixth)

	number := v.text(fmt.Sprintf(`[...document.querySelectorAll(".event-row")].find((e) => e.innerText.includes(%q) && !e.innerText.includes("once more"))?.querySelector("code").innerText`, sixth))
	v.fill("the first event", one("input", "from"), number)
	v.click("count", button("Count"))
	v.until("one event", fmt.Sprintf(`document.querySelector("main [role=status] span")?.innerText.startsWith("1 event: %s to %[1]s")`, number))
	v.click("do it", button("Have audit handle it once more"))
	audit.hears(t, sixth)
	v.until("all is settled", consumer("audit", "Lag")+` === "0"`)
	audit.hearsNothing(t, "in the end")

	t.Log("what nobody can read")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, id := range []string{"torn-1", "torn-2"} {
		if err := (desk.Desk{Broker: broker}).PublishOne(ctx, "orders.placed", &events.Message{ID: id, Source: "test", Type: "shop.orders.v1.Placed", Time: time.Now(), ContentType: "application/protobuf", Data: []byte("\xff\xff torn")}); err != nil {
			t.Fatal(err)
		}
	}
	v.until("each consumer has two dead letters", `[...document.querySelectorAll("[role=table][aria-label=topics] .badge")].some((e) => e.innerText === "8")`)
	v.click("drop all", button("Drop all"))
	v.shows("main [role=status]", "Drop for good 8 dead letters")
	v.click("yes", button("Yes, drop"))
	v.until("none is left", `!document.querySelector("main").innerText.includes("Dead letters")`)
	v.fill("the search", `document.querySelector("input[aria-label='search messages']")`, "torn-2")
	v.until("the one that is meant", `document.querySelectorAll(".event-row").length === 1 && new URLSearchParams(location.search).get("q") === "torn-2"`)
	v.fill("the search", `document.querySelector("input[aria-label='search messages']")`, "nobody writes this")
	v.shows("main", "No message has this text")
	audit.hearsNothing(t, "of what nobody can read")
}
