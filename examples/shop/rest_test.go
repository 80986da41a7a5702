package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/hansetest"
)

// restClient calls the shop as any program does that has HTTP and JSON and nothing else.
type restClient struct {
	t   *testing.T
	sys *hansetest.System
}

// send sends a request to a service and returns the answer, of which the caller closes the body.
func (c restClient) send(service, method, path, body string, fields ...string) *http.Response {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, "http://"+service+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Set(name, value)
	}
	resp, err := c.sys.HTTP(service).Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp
}

// call returns the JSON of an answer, which has the status.
func (c restClient) call(status int, service, method, path, body string, fields ...string) (answer map[string]any) {
	c.t.Helper()
	resp := c.send(service, method, path, body, fields...)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := json.Unmarshal(data, &answer); err != nil || resp.StatusCode != status {
		c.t.Fatalf("%s %s: %d %s, want %d", method, path, resp.StatusCode, data, status)
	}
	return answer
}

// TestREST buys something by the routes that the annotations of the contracts make.
func TestREST(t *testing.T) {
	c := restClient{t, hansetest.Options{Config: settings(t)}.Run(t, services()...)}

	page := c.call(200, "catalog", "GET", "/v1/products?page_size=2&sort=SORT_NAME", "")
	if products := page["products"].([]any); len(products) != 2 || page["nextPageToken"] == "" {
		t.Errorf("a page of products: %v", page)
	}
	if found := c.call(200, "catalog", "GET", "/v1/products:search?query=tea&limit=1", ""); found["products"].([]any)[0].(map[string]any)["id"] == "" {
		t.Errorf("a search: %v", found)
	}
	both := c.call(200, "catalog", "GET", "/v1/products:batchGet?ids=ships-bell&ids=nothing&ids=kontor-mug", "")
	if len(both["products"].([]any)) != 2 || fmt.Sprint(both["missing"]) != "[nothing]" {
		t.Errorf("a batch: %v", both)
	}
	mug := c.call(200, "catalog", "GET", "/v1/products/kontor-mug", "")
	if mug["id"] != "kontor-mug" || mug["price"].(map[string]any)["currency"] != "EUR" {
		t.Errorf("a product: %v", mug)
	}
	resp := c.send("catalog", "GET", "/v1/products/kontor-mug/picture", "")
	picture, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.Header.Get("Content-Type") != "image/svg+xml" || !strings.HasPrefix(string(picture), "<svg") {
		t.Errorf("a picture: %v %.100s %v", resp.Header, picture, err)
	}

	c.call(200, "cart", "POST", "/v1/carts/rest/items?request_id=1", `{"productId": "kontor-mug", "quantity": 2}`)
	cart := c.call(200, "cart", "PUT", "/v1/carts/rest/items/kontor-mug", `{"quantity": 3}`)
	if items := cart["items"].([]any); len(items) != 1 || items[0].(map[string]any)["quantity"] != 3.0 {
		t.Errorf("the cart: %v", cart)
	}
	preview := c.call(200, "checkout", "GET", "/v1/carts/rest:preview?currency=EUR&country=DE&speed=SPEED_EXPRESS", "")
	total, err := json.Marshal(preview["total"])
	if err != nil {
		t.Fatal(err)
	}
	order := c.call(200, "checkout", "POST", "/v1/carts/rest:order", `{"key": "rest-1", "currency": "EUR", "speed": "SPEED_EXPRESS", "expectedTotal": `+string(total)+`,
		"address": {"name": "Erika Muster", "email": "erika@example.com", "street": "Mengstraße 4", "postcode": "23552", "city": "Lübeck", "country": "DE"},
		"card": {"number": "4242 4242 4242 4242", "holder": "Erika Muster", "expiryMonth": 12, "expiryYear": 2040, "code": "123"}}`)
	id := order["id"].(string)

	// The order comes by server-sent events, until it is delivered.
	resp = c.send("orders", "GET", "/v1/orders/"+id+":watch", "", "Accept: text/event-stream")
	var statuses []string
	event := ""
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && event == "" {
			var order struct{ Status string }
			if err := json.Unmarshal([]byte(data), &order); err != nil {
				t.Errorf("%s: %v", data, err)
			}
			statuses = append(statuses, order.Status)
		} else if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			event = name
		}
	}
	resp.Body.Close()
	if resp.Header.Get("Content-Type") != "text/event-stream" || event != "end" || len(statuses) < 2 || statuses[len(statuses)-1] != "STATUS_DELIVERED" {
		t.Errorf("the order is watched: %v %q, the last event is %q", resp.Header, statuses, event)
	}
	if mine := c.call(200, "orders", "GET", "/v1/customers/rest/orders?limit=5", ""); len(mine["orders"].([]any)) != 1 {
		t.Errorf("the orders: %v", mine)
	}
	if left := c.call(200, "cart", "GET", "/v1/carts/rest", ""); left["items"] != nil {
		t.Errorf("the cart is not empty: %v", left)
	}
	c.call(200, "cart", "DELETE", "/v1/carts/rest", "")

	if e := c.call(404, "catalog", "GET", "/v1/products/kraken", ""); e["code"] != "not_found" {
		t.Errorf("no product: %v", e)
	}
	if e := c.call(404, "orders", "GET", "/v1/orders/none", "", "Accept: application/problem+json"); e["title"] != "Not Found" || e["status"] != 404.0 {
		t.Errorf("no order: %v", e)
	}
	if e := c.call(400, "catalog", "GET", "/v1/products?page_size=many", ""); !strings.HasPrefix(e["message"].(string), "page_size: it is a whole number") {
		t.Errorf("a bad query: %v", e)
	}
	if e := c.call(405, "catalog", "DELETE", "/v1/products/kontor-mug", ""); e["code"] != "unimplemented" {
		t.Errorf("a bad method: %v", e)
	}
}
