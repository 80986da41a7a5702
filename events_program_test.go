package hanse_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/embednats"
	"github.com/hanse-go/hanse/events"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// orderPaid has events named KEY/NUMBER, whose numbers grow with each key.
var orderPaid = events.NewTopic[number]("orders.paid", events.Key(func(n number) string {
	key, _, _ := strings.Cut(n.GetValue(), "/")
	return key
}))

const (
	paidKeys = 20
	paidEach = 100
)

// payOrders is a program with the backplane inside. It publishes about 500 events in a second.
func payOrders() {
	s := named("shop")
	orderPaid.Declare(s)
	s.Go("publish", func(ctx context.Context) error {
		tick := time.NewTicker(paidKeys * time.Second / 500)
		defer tick.Stop()
		for i := range paidEach {
			<-tick.C
			for key := range paidKeys {
				if err := orderPaid.Publish(ctx, s, wrapperspb.String(fmt.Sprintf("%d/%d", key, i))); err != nil {
					return err
				}
			}
		}
		fmt.Fprintln(os.Stderr, "published all")
		<-ctx.Done()
		return nil
	})
	(&hanse.App{Backplane: &embednats.Server{Dir: "data", Addr: os.Getenv("NATS_ADDR"), Token: "sesame"}}).Main(s)
}

// mailer is a service that says which events it handles.
func mailer() *hanse.Service {
	s := named("mailer")
	orderPaid.Subscribe(s, "mailer", func(_ context.Context, e *events.Event[number]) error {
		_, err := fmt.Fprintln(os.Stderr, "handled", e.Data.GetValue())
		return err
	}, events.Start{All: true})
	return s
}

// TestEventsBetweenPrograms runs a program with the backplane inside and others that use it. One of those is killed in the middle of its work: each
// event is handled at least once, and those of a key in their order.
func TestEventsBetweenPrograms(t *testing.T) {
	addr := discoverytest.FreeAddress(t)
	backplane := "HANSE_BACKPLANE=nats://sesame@" + addr
	shop := start(t, "paid orders", nil, "NATS_ADDR="+addr)
	shop.await("ready")
	killed, stays := start(t, "mailer", nil, backplane), start(t, "mailer", nil, backplane)
	handled := func(p *program) (all []string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, line := range p.lines {
			if event, ok := strings.CutPrefix(line, "handled "); ok {
				all = append(all, event)
			}
		}
		return all
	}
	reach := func(p *program, ok func([]string) bool) {
		t.Helper()
		deadline := time.After(60 * time.Second)
		for !ok(handled(p)) {
			select {
			case <-p.more:
			case <-deadline:
				t.Fatalf("%d events were handled by the one, and %d by the other", len(handled(killed)), len(handled(stays)))
			}
		}
	}
	reach(killed, func(all []string) bool { return len(all) >= 200 })
	if err := killed.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-killed.exited
	seen := make(map[string]bool)
	for _, event := range handled(killed) {
		seen[event] = true
	}
	reach(stays, func(all []string) bool {
		for _, event := range all {
			seen[event] = true
		}
		return len(seen) == paidKeys*paidEach
	})
	shop.await("published all")
	for _, p := range []*program{killed, stays} {
		last := make(map[string]int)
		for _, event := range handled(p) {
			key, text, _ := strings.Cut(event, "/")
			number, err := strconv.Atoi(text)
			if before, ok := last[key]; err != nil || ok && number <= before {
				t.Errorf("%s is handled after %s/%d", event, key, before)
			}
			last[key] = number
		}
	}
	if len(handled(stays)) == 0 {
		t.Error("one of the mailers had nothing to do")
	}
}
