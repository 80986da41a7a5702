//go:build unix

package e2e_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	"google.golang.org/protobuf/proto"
	_ "modernc.org/sqlite"
)

// handlers are the services that the event of an order goes through.
var handlers = []string{"orders", "email", "stock", "loyalty"}

// killHandlers kills these services while visitors buy: in turn, and sometimes all at once. It returns how often.
func killHandlers(t *testing.T, s *system, rounds int) (kills int) {
	t.Helper()
	tr := begin(t)
	defer func() { // what was called when it was killed may have failed
		tr.stop()
		<-tr.done
		if tr.err != nil {
			t.Fatal(tr.err)
		}
		t.Logf("%v, %d kills; machine load %s", tr.report.Counts, kills, machineLoad())
	}()
	tr.flowing(s, uint64(rate()))
	every := time.NewTicker(1700 * time.Millisecond) // each in turn is steady by then, and hanse dev starts it anew at once
	defer every.Stop()
	for n := range rounds {
		victims := handlers[n%len(handlers):][:1]
		if n%7 == 6 {
			victims = handlers
		}
		for _, name := range victims {
			for _, i := range s.ready(t, name) {
				if n%2 == 1 && syscall.Kill(i.PID, syscall.SIGSTOP) == nil { // so that it has much to do when it dies
					wait(1200 * time.Millisecond)
					syscall.Kill(i.PID, syscall.SIGCONT)
					wait(rand.N(30 * time.Millisecond))
				}
				if err := syscall.Kill(i.PID, syscall.SIGKILL); err == nil {
					kills++
				}
			}
		}
		<-every.C
	}
	s.allReady(t)
	return kills
}

// testPlaced counts what became of each order, when those who see to it were killed all the while.
func testPlaced(t *testing.T, s *system) {
	rounds := 7
	if full {
		rounds = 60
	}
	began := readBooks(t)
	kills := killHandlers(t, s, rounds)
	b := s.settle(t)
	orders := len(b.orders) - len(began.orders)
	t.Logf("%d kills, %d orders: %s", kills, orders, b)
	if wrong := b.wrong(); wrong != "" {
		t.Error(wrong)
	}
	if orders == 0 {
		t.Error("nothing was bought")
	}

	// All of it comes once more, and nothing happens.
	for _, group := range handlers[1:] {
		s.hanse(t, "events", "replay", "orders.placed", "--group", group, "--from", "beginning", "--yes")
	}
	s.await(t, "the events are handled again", func() bool {
		var topics []struct {
			Topic  string
			Groups []struct{ Lag, InFlight uint64 }
		}
		if err := json.Unmarshal([]byte(s.hanse(t, "events", "ls", "--json")), &topics); err != nil {
			t.Fatal(err)
		}
		for _, topic := range topics {
			for _, g := range topic.Groups {
				if topic.Topic == "orders.placed" && g.Lag+g.InFlight > 0 {
					return false
				}
			}
		}
		return len(topics) > 0
	})
	if again := readBooks(t); again.wrong() != "" || again.String() != b.String() {
		t.Errorf("handled again: %s, and %s before\n%s", again, b, again.wrong())
	}
}

// chaosPlaced is testPlaced for the table of faults.
func chaosPlaced(t *testing.T, s *system, v *verdict) {
	began := readBooks(t)
	kills := killHandlers(t, s, 60)
	b := s.settle(t)
	v.hold(b.wrong() == "" && len(b.orders) > len(began.orders), "one confirmation, one stock decrement and one loyalty entry per order",
		"%d kills, %d orders: %s%s", kills, len(b.orders)-len(began.orders), b, b.wrong())
}

// books are what the shop has in its files.
type books struct {
	orders  map[string]*ordersv1.Order // that were paid
	waiting int                        // events in the outbox
	sent    map[string]int             // mails that the service noted, by order
	mails   map[string]int             // mails that are in the mailbox, by order
	dropped int                        // mails that came once more
	goods   map[string]map[string]int  // pieces that left the warehouse, by order and product
	moves   map[string]int             // movements, by order
	stock   map[string]int             // pieces that are missing from the warehouse, by product, or too many
	points  map[string][]int           // entries, by order
	owed    map[string]int             // points that are missing from the account, by customer, or too many
}

// readBooks reads the files of the shop.
func readBooks(t *testing.T) *books {
	t.Helper()
	b := &books{
		orders: map[string]*ordersv1.Order{}, sent: map[string]int{}, mails: map[string]int{}, goods: map[string]map[string]int{}, moves: map[string]int{},
		stock: map[string]int{}, points: map[string][]int{}, owed: map[string]int{},
	}
	var id, other string
	var n, m int
	var body []byte
	read := func(file, query string, row func(), into ...any) {
		t.Helper()
		path := filepath.Join(home, "data", file+".db")
		if _, err := os.Stat(path); err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(5000)")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		rows, err := db.Query(query)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		defer rows.Close()
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			row()
		}
		if err := rows.Err(); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	read("orders", `SELECT body FROM orders`, func() {
		o := &ordersv1.Order{}
		if err := proto.Unmarshal(body, o); err != nil {
			t.Fatal(err)
		}
		if o.GetPaymentId() != "" {
			b.orders[o.GetId()] = o
		}
	}, &body)
	read("orders", `SELECT count(*) FROM hanse_outbox`, func() { b.waiting = n }, &n)
	read("email", `SELECT order_id FROM mails`, func() { b.sent[id]++ }, &id)
	read("mailbox", `SELECT id, copies FROM mails`, func() {
		b.mails[strings.TrimSuffix(id, ".placed@kontor.example")]++
		b.dropped += n - 1
	}, &id, &n)
	read("stock", `SELECT order_id, product, pieces FROM movements`, func() {
		b.stock[other] += n
		if id == "" {
			return
		}
		if b.goods[id] == nil {
			b.goods[id] = map[string]int{}
		}
		b.goods[id][other] -= n
		b.moves[id]++
	}, &id, &other, &n)
	read("stock", `SELECT product, pieces FROM stock`, func() { b.stock[id] += 240 - n }, &id, &n)
	read("loyalty", `SELECT order_id, customer, points FROM entries`, func() {
		b.points[id] = append(b.points[id], n)
		b.owed[other] += n
	}, &id, &other, &n)
	read("loyalty", `SELECT customer, points FROM accounts`, func() { b.owed[id] -= m }, &id, &m)
	return b
}

// String counts.
func (b *books) String() string {
	moved := 0
	for _, n := range b.moves {
		moved += n
	}
	return fmt.Sprintf("of %d in all %d are confirmed (%d mails came twice and were dropped), %d took their goods in %d movements, %d brought points",
		len(b.orders), len(b.mails), b.dropped, len(b.goods), moved, len(b.points))
}

// complete reports whether there is something of each order everywhere.
func (b *books) complete() bool {
	for id := range b.orders {
		if b.sent[id] == 0 || b.mails[id] == 0 || b.moves[id] == 0 || len(b.points[id]) == 0 {
			return false
		}
	}
	return b.waiting == 0
}

// settle waits until the event of each order has come everywhere, and returns what there is then.
func (s *system) settle(t *testing.T) (b *books) {
	t.Helper()
	s.await(t, "each order is seen to", func() bool {
		b = readBooks(t)
		return b.complete()
	})
	return b
}

// wrong says what there is too much or too little, "" for nothing.
func (b *books) wrong() string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for id, o := range b.orders {
		pieces, goods := 0, map[string]int{}
		for _, l := range o.GetLines() {
			pieces += int(l.GetQuantity())
			goods[l.GetProductId()] += int(l.GetQuantity())
		}
		if b.sent[id] != 1 || b.mails[id] != 1 {
			add("order %s: %d confirmations in the mailbox, %d noted", id, b.mails[id], b.sent[id])
		}
		if !maps.Equal(goods, b.goods[id]) || b.moves[id] != len(o.GetLines()) {
			add("order %s of %v: %v left the warehouse in %d movements", id, goods, b.goods[id], b.moves[id])
		}
		if !slices.Equal(b.points[id], []int{10 * pieces}) {
			add("order %s of %d pieces: points %v", id, pieces, b.points[id])
		}
	}
	for what, n := range map[string]int{"mailbox": len(b.mails), "notes of mails": len(b.sent), "warehouse": len(b.goods), "points": len(b.points)} {
		if n > len(b.orders) {
			add("%s: %d orders, and %d were paid", what, n, len(b.orders))
		}
	}
	for product, n := range b.stock {
		if n != 0 {
			add("%s: %d pieces are not accounted for", product, n)
		}
	}
	for customer, n := range b.owed {
		if n != 0 {
			add("%s: %d points are not accounted for", customer, n)
		}
	}
	slices.Sort(all)
	return strings.Join(all[:min(len(all), 20)], "\n")
}
