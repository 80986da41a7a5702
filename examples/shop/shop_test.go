package main

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/shop/cart"
	"github.com/hanse-go/hanse/examples/shop/catalog"
	"github.com/hanse-go/hanse/examples/shop/checkout"
	"github.com/hanse-go/hanse/examples/shop/currency"
	"github.com/hanse-go/hanse/examples/shop/email"
	"github.com/hanse-go/hanse/examples/shop/loyalty"
	"github.com/hanse-go/hanse/examples/shop/orders"
	"github.com/hanse-go/hanse/examples/shop/payment"
	"github.com/hanse-go/hanse/examples/shop/recommendation"
	"github.com/hanse-go/hanse/examples/shop/shipping"
	"github.com/hanse-go/hanse/examples/shop/stock"
	"github.com/hanse-go/hanse/examples/shop/storefront"
	"github.com/hanse-go/hanse/hansetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var makers = map[string]func() *hanse.Service{
	"storefront": storefront.Service, "catalog": catalog.Service, "cart": cart.Service, "currency": currency.Service,
	"shipping": shipping.Service, "payment": payment.Service, "orders": orders.Service, "checkout": checkout.Service,
	"recommendation": recommendation.Service, "stock": stock.Service, "email": email.Service, "loyalty": loyalty.Service,
}

// services returns all services of the shop but some.
func services(but ...string) []*hanse.Service {
	var all []*hanse.Service
maker:
	for name, maker := range makers {
		for _, b := range but {
			if b == name {
				continue maker
			}
		}
		all = append(all, maker())
	}
	return all
}

// settings keeps the shop's files in the test's folder and lets orders hurry.
func settings(t *testing.T) string {
	dir := t.TempDir()
	text := fmt.Sprintf("orders: {data: %q, step: 100ms}\n", dir)
	for _, name := range []string{"cart", "payment", "stock", "email", "loyalty"} {
		text += fmt.Sprintf("%s: {data: %q}\n", name, dir)
	}
	return text
}

// browser is a visitor of the storefront.
type browser struct {
	t    *testing.T
	http *http.Client
}

func newBrowser(t *testing.T, sys *hansetest.System) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := sys.HTTP("storefront")
	client.Jar = jar
	return &browser{t, client}
}

const site = "http://storefront"

// get returns a page, which must be there.
func (b *browser) get(path string) string {
	b.t.Helper()
	return b.read(http.StatusOK)(b.http.Get(site + path))
}

// post sends a form and returns the page that it leads to.
func (b *browser) post(path string, form url.Values) string {
	b.t.Helper()
	return b.read(http.StatusOK)(b.http.PostForm(site+path, form))
}

func (b *browser) read(want int) func(*http.Response, error) string {
	return func(res *http.Response, err error) string {
		b.t.Helper()
		if err != nil {
			b.t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			b.t.Fatal(err)
		}
		if res.StatusCode != want {
			b.t.Fatalf("%s %s: %s, want %d\n%s", res.Request.Method, res.Request.URL, res.Status, want, body)
		}
		return string(body)
	}
}

// has wants texts in a page.
func (b *browser) has(page string, texts ...string) {
	b.t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			_, main, _ := strings.Cut(page, "<main")
			main, _, _ = strings.Cut(main, "<footer")
			b.t.Errorf("the page does not say %q:\n%s", text, main)
		}
	}
}

// hasNot wants texts not in a page.
func (b *browser) hasNot(page string, texts ...string) {
	b.t.Helper()
	for _, text := range texts {
		if strings.Contains(page, text) {
			b.t.Errorf("the page says %q", text)
		}
	}
}

func (b *browser) add(product, quantity string) string {
	b.t.Helper()
	return b.post("/cart/items", url.Values{"product": {product}, "name": {product}, "quantity": {quantity}, "request_id": {product}, "back": {"/products/" + product}})
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)"`)

// checkoutForm fills in the form of a checkout page.
func (b *browser) checkoutForm(page string) url.Values {
	b.t.Helper()
	_, page, ok := strings.Cut(page, `id="order"`)
	if !ok {
		b.t.Fatalf("the page has no checkout form:\n%s", page)
	}
	form := url.Values{
		"name": {"Johann Buddenbrook"}, "email": {"johann@example.com"}, "street": {"Mengstraße 4"}, "postcode": {"23552"}, "city": {"Lübeck"},
		"number": {"4242 4242 4242 4242"}, "holder": {"Johann Buddenbrook"}, "expiry": {"12/99"}, "code": {"123"},
	}
	for _, m := range hidden.FindAllStringSubmatch(page, -1) {
		if m[1] != "back" {
			form.Set(m[1], html.UnescapeString(m[2]))
		}
	}
	return form
}

// follow reads the live status of an order to its end.
func (b *browser) follow(path string) string {
	b.t.Helper()
	var all strings.Builder
	for range 20 { // a stream may end early; browsers come back, too
		res, err := b.http.Get(site + path + "/events")
		if err != nil {
			b.t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
			b.t.Fatalf("events: %s, %s", res.Status, res.Header.Get("Content-Type"))
		}
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() {
			all.WriteString(lines.Text() + "\n")
		}
		res.Body.Close()
		if strings.Contains(all.String(), "event: final") {
			return all.String()
		}
	}
	b.t.Fatalf("the order does not arrive:\n%s", all.String())
	return ""
}

// TestPurchase goes through every page and buys something, on every path.
func TestPurchase(t *testing.T) {
	hansetest.EachPath(t, func(t *testing.T, on hansetest.Options) {
		on.Config = settings(t)
		sys := on.Run(t, services()...)
		b := newBrowser(t, sys)

		page := b.get("/")
		b.has(page, "Good things", "The house recommends", "Tea &amp; coffee", "Charts &amp; instruments", "East Frisian blend", "€12.90", "catalog", "ListCategories")
		b.hasNot(page, "not to be had", "not reached")
		for category, product := range map[string]string{
			"tea": "Kluntje rock sugar", "spices": "Long pepper", "larder": "Sloe cordial", "wool": "Sailcloth bag",
			"light": "Storm lantern", "table": "Roemer glass", "amber": "Gotland ring brooch", "deck": "Log book",
		} {
			b.has(b.get("/goods/"+category), product)
		}
		first := b.get("/goods/all?sort=price")
		b.has(first, "Kluntje rock sugar", "/goods/all?from=24&amp;sort=price", "24 of 64")
		b.hasNot(first, "Merchant&#39;s signet ring")
		b.has(b.get("/goods/all?from=48&sort=price"), "Merchant&#39;s signet ring", "16 of 64")
		b.has(b.get("/search?q=luebeck"), "Lübeck marzipan")
		b.has(b.get("/search?q=submarine"), "Nothing for “submarine”", "Perhaps something of this")
		product := b.get("/products/kontor-mug")
		b.has(product, "Kontor mug", "€22.00", "Grey stoneware", "Westerwald", "To Germany: €4.90", "Goes well with it")
		picture := regexp.MustCompile(`/pictures/[0-9a-f]+/kontor-mug\.svg`).FindString(product)
		b.has(b.get(picture), "<svg")

		b.has(b.get("/cart"), "It is empty")
		b.has(b.get("/checkout"), "Your cart is empty")
		b.has(b.get("/orders"), "None yet")
		b.has(b.get("/mailbox"), "There is none yet")
		b.has(b.add("kontor-mug", "2"), "kontor-mug is in your cart.", "POST /cart/items", "AddItem")
		b.add("kontor-mug", "2") // the same form again
		b.add("east-frisian-blend", "1")
		b.has(b.get("/cart"), "€44.00", "€56.90", "Delivery to Germany", "from €5.90")
		b.post("/cart/lines", url.Values{"product": {"kontor-mug"}, "quantity": {"1"}})
		b.has(b.get("/cart"), "€34.90")
		b.has(b.post("/cart/lines", url.Values{"product": {"kontor-mug"}, "quantity": {"100"}}), "must be from 0 to 99")

		b.has(b.post("/settings", url.Values{"currency": {"USD"}, "back": {"/cart"}}), "$23.55", "$37.36")
		b.has(b.post("/settings", url.Values{"currency": {"JPY"}, "back": {"/products/kontor-mug"}}), "¥3,783")
		b.post("/settings", url.Values{"currency": {"USD"}, "back": {"https://elsewhere.example"}})
		page = b.get("/checkout?country=US&speed=express")
		b.has(page, "United States", "Buy for $80.07")
		page = b.get("/checkout?country=DE")
		b.has(page, "Buy for $42.61")

		form := b.checkoutForm(page)
		form.Set("email", "nobody")
		refused := b.read(http.StatusUnprocessableEntity)(b.http.PostForm(site+"/checkout", form))
		b.has(refused, "Please look at the fields below again", "not an e-mail address", `value="Mengstraße 4"`)
		form = b.checkoutForm(refused)
		form.Set("number", "4242 4242 4242 4241")
		refused = b.read(http.StatusUnprocessableEntity)(b.http.PostForm(site+"/checkout", form))
		b.has(refused, "not a card number", `value="Mengstraße 4"`)
		b.hasNot(refused, "4241")
		form = b.checkoutForm(b.get("/checkout"))
		form.Set("number", "4000 0000 0000 0002")
		b.has(b.read(http.StatusUnprocessableEntity)(b.http.PostForm(site+"/checkout", form)), "The bank declined the card", "Nothing was charged")
		b.has(b.get("/orders"), "None yet")

		form = b.checkoutForm(b.get("/checkout"))
		done := b.post("/checkout", form)
		b.has(done, "Thank you", "$42.61", "Visa ending in 4242", "Mengstraße 4", "23552 Lübeck<br>Germany", "POST /checkout", "PlaceOrder", "ConfirmPayment")
		id := regexp.MustCompile(`[1-9A-HJ-Z]{4}-[1-9A-HJ-Z]{4}-[1-9A-HJ-Z]{4}`).FindString(done)
		again := b.post("/checkout", form) // the same form again is the same order
		b.has(again, id)
		b.has(b.get("/cart"), "It is empty")

		events := b.follow("/orders/" + id)
		b.has(events, "Packed", "Shipped", "Delivered", "KT", "event: points", "<b>20 points</b> for this order. You have 20.")
		b.has(b.get("/orders/"+id), "Delivered", "At your door", "<b>20 points</b> for this order. You have 20.")
		mails := b.get("/mailbox")
		b.has(mails, "Your order "+id, "orders@kontor.example", "johann@example.com", "Dear Johann Buddenbrook", "1 × Kontor mug, $23.55 each", "Total: $42.61", "Mengstraße 4")
		if n := strings.Count(mails, "<details class=\"letter\""); n != 1 {
			t.Errorf("%d letters, want 1:\n%s", n, mails)
		}
		b.has(b.get("/products/kontor-mug"), "<dt>In stock</dt><dd>239</dd>")
		list := b.get("/orders")
		b.has(list, id, "Delivered")
		if n := strings.Count(list, `<a href="/orders/`); n != 1 {
			t.Errorf("the list shows %d orders, want 1:\n%s", n, list)
		}

		stranger := newBrowser(t, sys)
		stranger.read(http.StatusNotFound)(stranger.http.Get(site + "/orders/" + id))
		stranger.add("kontor-mug", "1") // has a session, and no mail
		b.hasNot(stranger.get("/mailbox"), id)
	})
}

// TestMissing runs the shop without each service that it can do without, and buys something all the same.
func TestMissing(t *testing.T) {
	for _, test := range []struct {
		service string
		home    string // what pages say of it
		product string
		cart    string
		total   string
	}{
		{"recommendation", "Our recommendations are not to be had", "Our recommendations are not to be had", "Our recommendations are not to be had", "Buy for €26.90"},
		{"shipping", "", "What delivery costs cannot be said", "Shipping quotes are not to be had", "Buy for €31.90"},
		{"stock", "", "How many there are cannot be said", "", "Buy for €26.90"},
		{"loyalty", "", "", "", "Buy for €26.90"},
		{"email", "", "", "", "Buy for €26.90"},
		{"currency", "Other currencies are not to be had", "Prices are in euros: USD is not to be had", "Prices are in euros: USD is not to be had", "Buy for €26.90"},
	} {
		t.Run(test.service, func(t *testing.T) {
			b := newBrowser(t, hansetest.Options{Config: settings(t)}.Run(t, services(test.service)...))
			b.has(b.get("/"), "Kontor mug", test.home)
			if test.service == "currency" {
				b.post("/settings", url.Values{"currency": {"USD"}, "back": {"/"}})
			}
			b.has(b.get("/goods/table"), "Kontor mug", "€22.00")
			product := b.get("/products/kontor-mug")
			b.has(product, "€22.00", test.product)
			if test.product != "" {
				b.has(product, "failed")
			}
			b.has(b.add("kontor-mug", "1"), "kontor-mug is in your cart")
			b.has(b.get("/cart"), "€22.00", test.cart)
			page := b.get("/checkout")
			b.has(page, test.total)
			done := b.post("/checkout", b.checkoutForm(page))
			b.has(done, "Thank you")
			if away := strings.Contains(done, "Your points cannot be said at the moment"); away != (test.service == "loyalty") {
				t.Errorf("without %s, the points are away: %v", test.service, away)
			}
		})
	}
}

// TestAway runs the shop without each service that some page cannot do without: that page says so, and others go on.
func TestAway(t *testing.T) {
	for _, test := range []struct {
		service string
		fails   string // path
		says    string
		works   string // path
	}{
		{"catalog", "/goods/tea", "The catalog does not answer", "/orders"},
		{"cart", "/cart", "The cart does not answer", "/products/kontor-mug"},
		{"orders", "/orders", "The order book does not answer", "/cart"},
		{"checkout", "/checkout", "Checkout does not answer", "/cart"},
		{"email", "/mailbox", "The mailbox does not answer", "/orders"},
	} {
		t.Run(test.service, func(t *testing.T) {
			sys := hansetest.Options{Config: settings(t)}.Run(t, services()...)
			b := newBrowser(t, sys)
			b.add("kontor-mug", "1")
			for _, i := range sys.Instances(test.service) {
				i.Stop()
			}
			page := b.read(http.StatusServiceUnavailable)(b.http.Get(site + test.fails))
			b.has(page, test.says, "Try again", "failed")
			b.get(test.works)

			sys.Start(makers[test.service]())
			b.get(test.fails)
		})
	}
}

// TestReplacement replaces each service that keeps something by another instance while a visitor is at it.
func TestReplacement(t *testing.T) {
	sys := hansetest.Options{Config: settings(t)}.Run(t, services()...)
	b := newBrowser(t, sys)
	b.add("kontor-mug", "1")
	for _, service := range []string{"cart", "orders", "payment"} {
		sys.Start(makers[service]())
		sys.Instances(service)[0].Stop()
		b.has(b.get("/cart"), "Kontor mug")
	}
	form := b.checkoutForm(b.get("/checkout"))
	done := b.post("/checkout", form)
	b.has(done, "Thank you")
	id := regexp.MustCompile(`[1-9A-Z]{4}-[1-9A-Z]{4}-[1-9A-Z]{4}`).FindString(done)
	sys.Start(orders.Service())
	sys.Instances("orders")[0].Stop()
	b.has(b.follow("/orders/"+id), "Delivered")
}
