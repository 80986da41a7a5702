package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/embednats"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/desk"
	"github.com/hanse-go/hanse/events/natsevents"
	"github.com/hanse-go/hanse/store"
	"github.com/hanse-go/hanse/store/natsstore"
	"github.com/nats-io/nats.go"
)

var settled = store.NewBucket[map[string]int]("settled")

// developed is the shop as its developer sees it, who may change what it stores.
type developed struct{ seen }

func (d developed) State(ctx context.Context) (*dashboard.State, error) {
	st, err := d.seen.State(ctx)
	if err == nil {
		st.Kind = dashboard.KindDev
	}
	return st, err
}

// onBackplane has the shop keep its events on a real backplane, and the dashboard show that.
func onBackplane(t *testing.T) (change func(*observed), broker *natsevents.Broker, kept *store.Client) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	backplane := &embednats.Server{Dir: t.TempDir(), Addr: "127.0.0.1:0", NoSync: true, Logger: quiet}
	running, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- backplane.Run(running) }()
	url, err := backplane.URL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := backplane.Connect(t.Context(), nats.Name("dashboard"))
	if err != nil {
		t.Fatal(err)
	}
	broker = natsevents.New(nc, natsevents.Options{Logger: quiet})
	driver := &natsstore.Store{Conn: nc, Logger: quiet}
	t.Cleanup(func() {
		broker.Close()
		nc.Close()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return func(o *observed) {
		o.app.Backplane, o.app.Broker = hanse.NATS(url), nil
		o.page.Events, o.page.Store, o.page.System = broker, driver, developed{seen{o.registry}}
	}, broker, &store.Client{Driver: driver}
}

// TestDashboardEvents looks at topics, messages and dead letters of a real backplane, has a consumer handle events once more, and redelivers
// and drops what it could not handle.
func TestDashboardEvents(t *testing.T) {
	change, broker, _ := onBackplane(t)
	v := observe(t, change).look(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// What nobody can read is a dead letter of each consumer.
	tell := desk.Desk{Broker: broker}
	for _, id := range []string{"torn-1", "torn-2"} {
		if err := tell.PublishOne(ctx, "orders.placed", &events.Message{ID: id, Source: "test", Type: "shop.orders.v1.Placed", Time: time.Now(), ContentType: "application/protobuf", Data: []byte("\xff\xff torn")}); err != nil {
			t.Fatal(err)
		}
	}
	v.open("/events")
	v.until("the topic", `document.querySelector("[role=table][aria-label=topics]")?.innerText.includes("orders.placed")`)
	for _, group := range []string{"loyalty", "email", "stock"} {
		v.shows("[role=table][aria-label=topics]", group)
	}
	v.open("/events?topic=orders.placed")
	v.until("its messages", `document.querySelectorAll(".event-row").length >= 2`)
	v.shows("main", "Dead letters")
	v.picture("events")

	// Dead letters go when they are dropped, after a question; one by one, too.
	v.until("all dead letters are there", `/Drop all[^]*#/.test(document.querySelector("main").innerText)`)
	v.click("drop all", button("Drop all"))
	v.click("yes", button("Yes, drop"))
	v.until("none is left", `!document.querySelector("main").innerText.includes("Dead letters")`)

	// Replay says first how many.
	v.click("count", button("Count"))
	v.until("what is counted", `/[0-9]+ events: #/.test(document.querySelector("[role=status]")?.innerText ?? "")`)
	v.until("it can be confirmed", `[...document.querySelectorAll("main button")].some((b) => /once more$/.test(b.innerText.trim()))`)
	v.click("do it", `[...document.querySelectorAll("main button")].find((b) => /once more$/.test(b.innerText.trim()))`)
	v.shows("body", "redelivered to")

	v.fill("the search", `document.querySelector("input[aria-label='search messages']")`, "nobody writes this")
	v.shows("main", "No message has this text")
	v.until("the search is in the address", `location.search.includes("nobody")`)
}

// TestDashboardStore changes and deletes values of a real backplane, and is refused what somebody else has changed meanwhile.
func TestDashboardStore(t *testing.T) {
	change, _, kept := onBackplane(t)
	v := observe(t, change).look(t)
	put := func(key string, n int) {
		t.Helper()
		if _, err := settled.Put(t.Context(), kept, key, map[string]int{"orders": n}); err != nil {
			t.Fatal(err)
		}
	}
	put("ann", 1)
	put("bob", 2)
	v.open("/store")
	v.click("the bucket", `[...document.querySelectorAll("[role=table][aria-label=buckets] [role=row] a, [role=table][aria-label=buckets] b")].find((e) => e.innerText.includes("settled"))`)
	v.until("its keys", `document.querySelector("[role=table][aria-label=keys]")?.innerText.includes("bob")`)
	v.open("/store?bucket=settled&key=ann")
	v.shows("main", "revision")
	v.picture("store")

	v.click("edit", button("Edit"))
	v.fill("the value", `document.querySelector("textarea")`, `{"orders": 7}`)
	put("ann", 3) // somebody else is faster
	v.click("write", button("Write"))
	v.until("it is refused", `/changed|revision/i.test(document.querySelector(".toasts, [role=alert]")?.innerText ?? "")`)
	v.reload()
	v.until("the value of the other", `/orders"?:? *3/.test(document.querySelector(".answer")?.innerText ?? "")`)
	v.click("edit", button("Edit"))
	v.fill("the value", `document.querySelector("textarea")`, `{"orders": 7}`)
	v.click("write", button("Write"))
	v.until("the new value", `/orders"?:? *7/.test(document.querySelector(".answer")?.innerText ?? "") && !document.querySelector("textarea")`)
	e, err := settled.Get(t.Context(), kept, "ann")
	if err != nil || e.Value["orders"] != 7 {
		t.Errorf("%+v, %v", e, err)
	}
	v.click("delete", button("Delete"))
	v.click("yes", button("Yes, delete it"))
	v.until("it is gone", `document.querySelector("[role=table][aria-label=keys]") && !document.querySelector("[role=table][aria-label=keys]").innerText.includes("ann")`)
}
