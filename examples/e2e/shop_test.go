//go:build unix

package e2e_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// served returns the rows of the strip that tells what served a page: service, method, instance, path, outcome.
func (p *page) served() (rows [][]string) {
	p.v.t.Helper()
	strip := p.find(func(n *html.Node) bool { return n.Data == "section" && attr(n, "class") == "served" })
	if strip == nil {
		p.v.t.Fatalf("%s does not tell what served it", p.url)
	}
	for tr := range strip.Descendants() {
		if tr.Data != "tr" || tr.Parent.Data != "tbody" {
			continue
		}
		var row []string
		for cell := range tr.ChildNodes() {
			if cell.Data == "td" || cell.Data == "th" {
				row = append(row, text(cell, ""))
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// everyPage follows every link from the start page on: each must lead to a good page.
func everyPage(t *testing.T, v *visitor, path string) {
	t.Helper()
	seen := map[string]bool{"/": true}
	kinds := map[string]int{}
	for queue := []string{"/"}; len(queue) > 0; queue = queue[1:] {
		p := v.get(queue[0])
		if p.status != http.StatusOK || len(p.body) == 0 {
			t.Errorf("%s: status %d, %d bytes", queue[0], p.status, len(p.body))
			continue
		}
		kind, _, _ := strings.Cut(p.kind, ";")
		kinds[kind]++
		for _, to := range p.links() {
			if !seen[to] {
				seen[to] = true
				queue = append(queue, to)
			}
		}
		if p.doc == nil {
			continue
		}
		if strings.Contains(p.text(), "at the moment") {
			t.Errorf("%s misses something:\n%s", queue[0], p.text())
		}
		for _, row := range p.served() {
			if row[4] != "OK" || row[3] != path {
				t.Errorf("%s was served by %q", queue[0], row)
			}
		}
	}
	t.Logf("%d addresses: %v", len(seen), kinds)
	if kinds["text/html"] < 64+8+3 || kinds["image/svg+xml"] < 64 || kinds["text/css"] != 1 {
		t.Errorf("the pages that were found are %v", kinds)
	}
}

// address and card that a visitor fills in.
var buyer = url.Values{
	"name": {"Erika Muster"}, "email": {"erika@example.com"}, "street": {"Mengstraße 4"}, "postcode": {"23552"}, "city": {"Lübeck"},
	"number": {"4242 4242 4242 4242"}, "holder": {"Erika Muster"}, "expiry": {"12/40"}, "code": {"123"},
}

// buy makes a whole purchase and returns the page of the order.
func buy(t *testing.T, v *visitor) *page {
	t.Helper()
	v.open("/", "Kontor", "East Frisian blend")
	v.open("/search?q=amber", "Search")
	v.open("/products/east-frisian-blend", "East Frisian blend").send("/cart/items", url.Values{"quantity": {"2"}}).must("is in your cart")
	v.open("/cart", "East Frisian blend", "Check out")
	p := v.open("/checkout", "Your order", "2 × ")

	declined := url.Values{}
	for k, v := range buyer {
		declined[k] = v
	}
	declined.Set("number", "4000 0000 0000 0002")
	if p = p.send("/checkout", declined); p.status != http.StatusUnprocessableEntity || !strings.Contains(p.text(), "Nothing was charged") {
		t.Fatalf("a declined card: status %d\n%s", p.status, p.text())
	}
	p = p.send("/checkout", buyer).must("Thank you", "Visa ending in 4242", "Erika Muster")
	if !strings.HasPrefix(p.url.Path, "/orders/") {
		t.Fatalf("the purchase leads to %s", p.url)
	}
	v.open("/cart", "It is empty")
	return p
}

// follow watches an order until it is delivered.
func follow(t *testing.T, v *visitor, order *page) {
	t.Helper()
	resp, err := v.client.Get(order.url.String() + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var events []string
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			events = append(events, name)
		}
		if strings.Contains(lines.Text(), "At your door") && len(events) > 0 && events[len(events)-1] == "final" {
			v.open(order.url.Path, "At your door")
			v.open("/orders", strings.TrimPrefix(order.url.Path, "/orders/"))
			return
		}
	}
	t.Fatalf("the live status ended after %q", fmt.Sprint(events))
}

// letter waits until an order is confirmed in the visitor's mailbox.
func letter(t *testing.T, s *system, v *visitor, order *page) {
	t.Helper()
	id := strings.TrimPrefix(order.url.Path, "/orders/")
	s.await(t, "the confirmation is there", func() bool {
		p := v.get("/mailbox") // its service may just have been started again
		return p.status == http.StatusOK && strings.Contains(p.text(), "Your order "+id) && strings.Contains(p.text(), "Dear Erika Muster")
	})
}
