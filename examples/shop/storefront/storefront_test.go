package storefront_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"github.com/hanse-go/hanse"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/examples/shop/cart"
	"github.com/hanse-go/hanse/examples/shop/catalog"
	"github.com/hanse-go/hanse/examples/shop/currency"
	"github.com/hanse-go/hanse/examples/shop/email"
	"github.com/hanse-go/hanse/examples/shop/loyalty"
	checkoutv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/checkout/v1"
	moneyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/money/v1"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	reviewsv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/reviews/v1"
	"github.com/hanse-go/hanse/examples/shop/recommendation"
	"github.com/hanse-go/hanse/examples/shop/shipping"
	"github.com/hanse-go/hanse/examples/shop/stock"
	"github.com/hanse-go/hanse/examples/shop/storefront"
	"github.com/hanse-go/hanse/hansetest"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const site = "http://storefront"

// clerk stands for checkout and orders.
type clerk struct {
	checkoutv1.UnimplementedCheckoutServer
	ordersv1.UnimplementedOrdersServer

	placed *checkoutv1.PlaceOrderRequest
	fail   error
	watch  []ordersv1.Status
}

func (c *clerk) Preview(_ context.Context, req *checkoutv1.PreviewRequest) (*checkoutv1.PreviewResponse, error) {
	price := &moneyv1.Money{Currency: "EUR", Minor: 2200}
	return &checkoutv1.PreviewResponse{
		Lines: []*ordersv1.Line{{ProductId: "kontor-mug", Name: "Kontor mug", Quantity: 1, Price: price}},
		Goods: price, Shipping: &moneyv1.Money{Currency: "EUR"}, Total: price,
	}, nil
}

func (c *clerk) PlaceOrder(_ context.Context, req *checkoutv1.PlaceOrderRequest) (*checkoutv1.PlaceOrderResponse, error) {
	c.placed = req
	return &checkoutv1.PlaceOrderResponse{Order: &ordersv1.Order{Id: "TEST"}}, c.fail
}

func (c *clerk) GetOrder(_ context.Context, req *ordersv1.GetOrderRequest) (*ordersv1.GetOrderResponse, error) {
	if req.GetId() != "TEST" {
		return nil, status.Error(codes.NotFound, "none")
	}
	return &ordersv1.GetOrderResponse{Order: &ordersv1.Order{Id: "TEST", Customer: visitor, Status: ordersv1.Status_STATUS_PAID}}, nil
}

func (c *clerk) WatchOrder(_ *ordersv1.WatchOrderRequest, stream grpc.ServerStreamingServer[ordersv1.WatchOrderResponse]) error {
	for _, s := range c.watch {
		order := &ordersv1.Order{Id: "TEST", Status: s, History: []*ordersv1.Event{{Status: s}}, TrackingId: "<b>\nKT1"}
		if err := stream.Send(&ordersv1.WatchOrderResponse{Order: order}); err != nil {
			return err
		}
	}
	return nil
}

const visitor = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

type shop struct {
	t      *testing.T
	client *http.Client
	clerk  *clerk
}

func open(t *testing.T, more ...*hanse.Service) *shop {
	t.Helper()
	s := &shop{t: t, clerk: &clerk{}}
	var config strings.Builder
	for _, name := range []string{"cart", "stock", "loyalty", "email"} {
		fmt.Fprintf(&config, "%s: {data: %q}\n", name, t.TempDir())
	}
	sys := hansetest.Options{Config: config.String()}.Run(t, append(more, stock.Service(), loyalty.Service(), email.Service(),
		storefront.Service(), catalog.Service(), cart.Service(), currency.Service(), shipping.Service(), recommendation.Service(),
		hansetest.Fake("checkout", func(r grpc.ServiceRegistrar) { checkoutv1.RegisterCheckoutServer(r, s.clerk) }),
		hansetest.Fake("orders", func(r grpc.ServiceRegistrar) { ordersv1.RegisterOrdersServer(r, s.clerk) }))...)
	s.client = sys.HTTP("storefront")
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s
}

// do sends a request with headers "Name: value", and returns the answer and its body.
func (s *shop) do(method, path string, form url.Values, headers ...string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, site+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res, string(body)
}

func cookie(name, value string) string { return "Cookie: " + name + "=" + value }

func cookies(res *http.Response) map[string]*http.Cookie {
	all := make(map[string]*http.Cookie)
	for _, c := range res.Cookies() {
		all[c.Name] = c
	}
	return all
}

func TestHeaders(t *testing.T) {
	s := open(t)
	_, page := s.do("GET", "/", nil)
	asset := regexp.MustCompile(`/assets/[0-9a-f]+/style\.css`).FindString(page)
	picture := regexp.MustCompile(`/pictures/[0-9a-f]+/[a-z-]+\.svg`).FindString(page)
	for path, cache := range map[string]string{
		"/":                               "private, no-cache",
		"/products/kontor-mug":            "private, no-cache",
		"/nothing":                        "private, no-cache",
		asset:                             "public, max-age=31536000, immutable",
		picture:                           "public, max-age=31536000, immutable",
		"/assets/old/style.css":           "no-cache",
		"/pictures/old/kontor-mug.svg":    "no-cache",
		"/pictures/latest/no-product.svg": "",
	} {
		res, _ := s.do("GET", path, nil)
		if got := res.Header.Get("Cache-Control"); got != cache {
			t.Errorf("%s: Cache-Control %q, want %q", path, got, cache)
		}
		csp := res.Header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: Content-Security-Policy %q", path, csp)
		}
		if res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("%s: %v", path, res.Header)
		}
	}
	if res, body := s.do("GET", asset, nil); res.Header.Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(body, "--brick") {
		t.Errorf("style: %v", res.Header)
	}
	for path, want := range map[string]int{
		"/assets/x/nothing.css": 404, "/assets/x/..%2Fstrip.go": 404, "/pictures/x/kontor-mug.png": 404, "/pictures/x/none.svg": 404, "/favicon.ico": 302,
	} {
		if res, _ := s.do("GET", path, nil); res.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, res.Status, want)
		}
	}
	// What the policy refuses is in no page.
	for _, path := range []string{"/", "/goods/tea", "/products/kontor-mug", "/search?q=tea", "/cart", "/checkout", "/orders", "/nothing"} {
		_, page := s.do("GET", path, nil, cookie("kontor_session", visitor))
		if m := regexp.MustCompile(`<style|<script>|\sstyle=|\son[a-z]+=|javascript:`).FindString(page); m != "" {
			t.Errorf("%s has %q", path, m)
		}
	}
}

func TestForgery(t *testing.T) {
	s := open(t)
	form := url.Values{"product": {"kontor-mug"}, "quantity": {"1"}, "back": {"/"}}
	for name, test := range map[string]struct {
		headers []string
		want    int
	}{
		"own page":         {[]string{"Sec-Fetch-Site: same-origin"}, 303},
		"no browser":       {nil, 303},
		"other site":       {[]string{"Sec-Fetch-Site: cross-site"}, 403},
		"sibling":          {[]string{"Sec-Fetch-Site: same-site"}, 403},
		"other origin":     {[]string{"Origin: https://elsewhere.example"}, 403},
		"own origin":       {[]string{"Origin: http://storefront"}, 303},
		"origin of a file": {[]string{"Origin: null"}, 403},
	} {
		res, _ := s.do("POST", "/cart/items", form, test.headers...)
		if res.StatusCode != test.want {
			t.Errorf("%s: %s, want %d", name, res.Status, test.want)
		}
	}
}

func TestSession(t *testing.T) {
	s := open(t)
	if res, _ := s.do("GET", "/", nil); len(res.Cookies()) != 0 {
		t.Errorf("a look around sets cookies: %v", res.Cookies())
	}
	form := url.Values{"product": {"kontor-mug"}, "quantity": {"1"}}
	res, _ := s.do("POST", "/cart/items", form)
	c := cookies(res)["kontor_session"]
	if c == nil || len(c.Value) != 26 || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure || c.Path != "/" {
		t.Fatalf("session cookie %v", c)
	}
	if _, page := s.do("GET", "/cart", nil, cookie("kontor_session", c.Value)); !strings.Contains(page, "Kontor mug") {
		t.Error("the cart does not hold what was put into it")
	}
	if _, page := s.do("GET", "/cart", nil, cookie("kontor_session", "A2345")); !strings.Contains(page, "It is empty") {
		t.Error("a session that we did not make has a cart")
	}
	res, _ = s.do("POST", "/cart/items", form, cookie("kontor_session", "../../etc"))
	if c := cookies(res)["kontor_session"]; c == nil || len(c.Value) != 26 {
		t.Errorf("a malformed session goes on: %v", c)
	}
	res, _ = s.do("POST", "/cart/items", form, "X-Forwarded-Proto: https")
	if c := cookies(res)["kontor_session"]; c == nil || !c.Secure {
		t.Errorf("the cookie of a secure page is not: %v", c)
	}
}

func TestRedirectsStayHere(t *testing.T) {
	s := open(t)
	for back, want := range map[string]string{
		"/products/kontor-mug?x=1":  "/products/kontor-mug?x=1",
		"":                          "/",
		"https://elsewhere.example": "/", "//elsewhere.example": "/", `/\elsewhere.example`: "/", "javascript:alert(1)": "/", "elsewhere": "/",
	} {
		for _, path := range []string{"/cart/items", "/settings"} {
			res, _ := s.do("POST", path, url.Values{"product": {"kontor-mug"}, "quantity": {"1"}, "back": {back}})
			if got := res.Header.Get("Location"); res.StatusCode != http.StatusSeeOther || got != want {
				t.Errorf("%s back to %q: %s to %q, want %q", path, back, res.Status, got, want)
			}
		}
	}
}

func TestNothingIsTakenForHTML(t *testing.T) {
	s := open(t)
	attack := `"><script>alert(1)</script>`
	flash := base64.RawURLEncoding.EncodeToString([]byte(`{"kind":"` + `x","text":"<script>alert(1)</script>","link":"/x","label":"<i>","did":"<u>","calls":[{"service":"<s>","code":"OK"}]}`))
	evil := base64.RawURLEncoding.EncodeToString([]byte(`{"text":"click","link":"javascript:alert(1)"}`))
	for name, page := range map[string]string{
		"search":     second(s.do("GET", "/search?q="+url.QueryEscape(attack), nil)),
		"page":       second(s.do("GET", "/orders?"+attack, nil)),
		"country":    second(s.do("GET", "/products/kontor-mug", nil, cookie("kontor_country", "<b>"))),
		"flash":      second(s.do("GET", "/", nil, cookie("kontor_flash", flash))),
		"flash link": second(s.do("GET", "/", nil, cookie("kontor_flash", evil))),
		"no flash":   second(s.do("GET", "/", nil, cookie("kontor_flash", "%%%"))),
	} {
		for _, bad := range []string{"<script>a", "<i>", "<u>", "<s>", "<b>\"", "javascript:"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s: the page has %q", name, bad)
			}
		}
	}
	if _, page := s.do("GET", "/", nil, cookie("kontor_flash", flash)); !strings.Contains(page, "&lt;script&gt;alert(1)") {
		t.Error("the message does not show at all")
	}
}

func TestForms(t *testing.T) {
	s := open(t)
	for name, form := range map[string]url.Values{
		"none":       {"product": {"kontor-mug"}, "quantity": {"0"}},
		"not number": {"product": {"kontor-mug"}, "quantity": {"many"}},
		"huge":       {"product": {"kontor-mug"}, "quantity": {"99999999999"}},
		"no product": {"quantity": {"1"}},
	} {
		res, _ := s.do("POST", "/cart/items", form)
		f := cookies(res)["kontor_flash"]
		if res.StatusCode != http.StatusSeeOther || f == nil {
			t.Errorf("%s: %s, no message", name, res.Status)
			continue
		}
		if _, page := s.do("GET", "/", nil, cookie("kontor_flash", f.Value)); !strings.Contains(page, `class="flash bad"`) {
			t.Errorf("%s: the next page does not say what is wrong", name)
		}
	}
	if res, _ := s.do("POST", "/cart/items", url.Values{"name": {strings.Repeat("x", 100_000)}}); res.StatusCode != http.StatusBadRequest {
		t.Errorf("a form of 100 kB: %s", res.Status)
	}
	if res, _ := s.do("POST", "/", url.Values{}); res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") == "" {
		t.Errorf("a form to a page that takes none: %s", res.Status)
	}
	if res, body := s.do("HEAD", "/", nil); res.StatusCode != http.StatusOK || body != "" || res.ContentLength < 1000 {
		t.Errorf("HEAD: %s, %d bytes announced", res.Status, res.ContentLength)
	}
	if res, _ := s.do("POST", "/checkout", url.Values{}); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/cart" {
		t.Errorf("checkout without a session: %s", res.Status)
	}
}

func TestPlaceOrder(t *testing.T) {
	s := open(t)
	me := cookie("kontor_session", visitor)
	form := url.Values{
		"key": {"k"}, "name": {" J. B. "}, "email": {"jb@example.com"}, "street": {"Mengstraße 4"}, "postcode": {"23552"}, "city": {"Lübeck"}, "country": {"DE"},
		"number": {"4111 1111"}, "holder": {"J. B."}, "expiry": {"4 / 31"}, "code": {"123"}, "currency": {"EUR"}, "total": {"2200"}, "speed": {"express"},
	}
	res, _ := s.do("POST", "/checkout", form, me)
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/orders/TEST" {
		t.Errorf("%s to %s", res.Status, res.Header.Get("Location"))
	}
	got := s.clerk.placed
	if got.GetSession() != visitor || got.GetKey() != "k" || got.GetAddress().GetName() != "J. B." || got.GetExpectedTotal().GetMinor() != 2200 ||
		got.GetCard().GetExpiryMonth() != 4 || got.GetCard().GetExpiryYear() != 2031 || got.GetSpeed().String() != "SPEED_EXPRESS" {
		t.Errorf("placed %v", got)
	}
	s.do("POST", "/cart/items", url.Values{"product": {"kontor-mug"}, "quantity": {"1"}}, me)

	key := regexp.MustCompile(`name="key" value="([^"]+)"`)
	s.clerk.fail = status.Error(codes.Unavailable, "who knows")
	res, page := s.do("POST", "/checkout", form, me)
	if m := key.FindStringSubmatch(page); res.StatusCode != http.StatusServiceUnavailable || m == nil || m[1] != "k" {
		t.Errorf("an uncertain end: %s, and the key is %v, want the same again", res.Status, m)
	}
	s.clerk.fail = status.Error(codes.FailedPrecondition, "the bank declined the card")
	res, page = s.do("POST", "/checkout", form, me)
	if m := key.FindStringSubmatch(page); res.StatusCode != http.StatusUnprocessableEntity || m == nil || m[1] == "k" || !strings.Contains(page, "The bank declined the card.") {
		t.Errorf("a certain end: %s, and the key is %v, want another", res.Status, m)
	}
	if strings.Contains(page, "4111") || strings.Contains(page, `value="123"`) || !strings.Contains(page, `value="Mengstraße 4"`) {
		t.Error("the form has the card's secrets, or not the address")
	}
}

func TestEvents(t *testing.T) {
	s := open(t)
	me := cookie("kontor_session", visitor)
	s.clerk.watch = []ordersv1.Status{ordersv1.Status_STATUS_PAID, ordersv1.Status_STATUS_SHIPPED, ordersv1.Status_STATUS_DELIVERED}
	res, body := s.do("GET", "/orders/TEST/events", nil, me)
	if res.Header.Get("Content-Type") != "text/event-stream" || strings.Count(body, "event: status\n") != 2 || strings.Count(body, "event: final\n") != 1 {
		t.Errorf("%v\n%s", res.Header, body)
	}
	if !strings.Contains(body, "&lt;b&gt;\ndata: KT1") {
		t.Errorf("a line break is lost, or HTML is not escaped:\n%s", body)
	}
	for line := range strings.Lines(body) {
		if line != "\n" && !regexp.MustCompile(`^(event|data|retry): `).MatchString(line) {
			t.Errorf("line %q", line)
		}
	}
	for name, headers := range map[string][]string{"nobody's": nil, "someone else's": {cookie("kontor_session", strings.Repeat("A", 26))}} {
		if res, _ := s.do("GET", "/orders/TEST/events", nil, headers...); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s, want 404", name, res.Status)
		}
		if res, _ := s.do("GET", "/orders/TEST", nil, headers...); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s, want 404", name, res.Status)
		}
	}
}

// TestStrip looks at the end of a page.
func TestStrip(t *testing.T) {
	s := open(t)
	_, page := s.do("GET", "/products/kontor-mug", nil)
	_, strip, ok := strings.Cut(page, `<section class="served"`)
	if !ok {
		t.Fatal("the page has no strip")
	}
	for _, want := range []string{
		"GET /products/kontor-mug", "6 calls to 5 services", "6 TCP", // catalog twice; no session, so no cart
		">GetProduct<", ">ListCategories<", ">Quote<", ">ListCurrencies<", ">ListRecommendations<", ">GetStock<", "<td>OK", " ms</td>",
	} {
		if !strings.Contains(strip, want) {
			t.Errorf("the strip does not say %q:\n%s", want, strip)
		}
	}
	if ids := regexp.MustCompile(`class="mono">([0-9a-z]{8})<`).FindAllString(strip, -1); len(ids) != 6 {
		t.Errorf("%d instances, want 6:\n%s", len(ids), strip)
	}
}

func second(_ *http.Response, body string) string { return body }

// Without its reviews the shop sells on, and says so at once: nobody waits for a service that is not there. It tells them from reviews that
// fail.
func TestReviews(t *testing.T) {
	s := open(t)
	if _, page := s.do("GET", "/products/kontor-mug", nil); !strings.Contains(page, "Reviews are not available here") || !strings.Contains(page, "Put into the cart") {
		t.Errorf("without a service of reviews:\n%s", page)
	}
	// found is the page when the storefront has found the reviews, which others do not wait for.
	found := func(r reviewsv1.ReviewsServer) (page string) {
		t.Helper()
		s := open(t, hansetest.Fake("reviews", func(to grpc.ServiceRegistrar) { reviewsv1.RegisterReviewsServer(to, r) }))
		discoverytest.Eventually(t, "the storefront finds the reviews", func() bool {
			_, page = s.do("GET", "/products/kontor-mug", nil)
			return !strings.Contains(page, "Reviews are not available here")
		})
		return page
	}
	page := found(critic{})
	for _, want := range []string{"4.5 of 5 stars in 2 reviews", "A &lt;good&gt; mug.", "Anneke, 2026-10-31: 5 of 5"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page of a product does not say %q", want)
		}
	}
	if page := found(speechless{}); !strings.Contains(page, "Reviews are not available at the moment") {
		t.Errorf("with reviews that fail:\n%s", page)
	}
}

type speechless struct {
	reviewsv1.UnimplementedReviewsServer
}

type critic struct {
	reviewsv1.UnimplementedReviewsServer
}

func (critic) ListReviews(context.Context, *reviewsv1.ListReviewsRequest) (*reviewsv1.ListReviewsResponse, error) {
	return &reviewsv1.ListReviewsResponse{Stars: 4.5, Count: 2, Reviews: []*reviewsv1.Review{{Author: "Anneke", Stars: 5, Text: "A <good> mug.", Date: "2026-10-31"}}}, nil
}

// TestCountCart asks as the pages' script does.
func TestCountCart(t *testing.T) {
	s := open(t)
	const call = "/shop.storefront.v1.Visits/CountCart?connect=v1&encoding=json&message=%7B%7D"
	count := func(want string, headers ...string) {
		t.Helper()
		res, body := s.do("GET", call, nil, headers...)
		if body = strings.ReplaceAll(body, " ", ""); res.StatusCode != 200 || body != want {
			t.Errorf("%v: %s %s, want %s", headers, res.Status, body, want)
		}
	}
	mine := cookie("kontor_session", visitor)
	count(`{}`)
	count(`{}`, mine)
	form := url.Values{"product": {"kontor-mug"}, "quantity": {"2"}, "request_id": {"1"}, "back": {"/"}}
	if res, body := s.do("POST", "/cart/items", form, mine); res.StatusCode != 303 {
		t.Fatalf("%s %s", res.Status, body)
	}
	count(`{"pieces":2}`, mine)
	count(`{"pieces":2}`, "Cookie: other=1", mine)
	count(`{}`, cookie("kontor_session", strings.ToLower(visitor)))
	if res, _ := s.do("GET", call, nil, mine, "Origin: https://elsewhere.example"); res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a page of another site may read it: %v", res.Header)
	}
}
