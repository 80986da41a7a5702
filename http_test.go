package hanse_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/hanse-go/hanse"
)

func TestHTTP(t *testing.T) {
	answer := func(s string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) })
	}
	shop := &hanse.Service{Name: "shop"}
	shop.Handle("/", answer("shop's page"))
	shop.Handle("GET /cart", answer("shop's cart"))
	cart := greeterNamed("cart")
	cart.Handle("GET /cart/items", answer("cart's items"))
	admin := &hanse.Service{Name: "office"}
	admin.Handle("/", answer("office"))
	admin.Handle("GET /cart", answer("office's cart")) // has a listener of its own, so that it is no conflict
	r := run(t, &hanse.App{Addrs: map[string]string{"office": "127.0.0.1:0"}}, shop, cart, admin, greeterNamed("plain"))

	get := func(addr, host, path string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, body := roundTrip(t, req)
		if resp.StatusCode != http.StatusOK {
			return resp.Status
		}
		return body
	}
	shared := r.addr("shop")
	if shared != r.addr("cart") || shared == r.addr("office") {
		t.Errorf("addresses: %v", r.instances)
	}
	for _, tt := range []struct{ addr, host, path, want string }{
		{shared, shared, "/", "shop's page"},
		{shared, shared, "/cart", "shop's cart"},
		{shared, shared, "/cart/items", "cart's items"}, // the more specific of two services
		{shared, "cart", "/cart/items", "cart's items"},
		{shared, "cart:8443", "/cart/items", "cart's items"},
		{shared, "cart.localhost", "/cart/items", "cart's items"},
		{shared, "CART.localhost.:1", "/cart/items", "cart's items"},
		{shared, "shop.localhost", "/cart/items", "shop's page"},
		{shared, "cart", "/", "404 Not Found"},
		{shared, "plain", "/", "404 Not Found"},
		{r.addr("office"), "anything", "/cart", "office's cart"},
	} {
		if got := get(tt.addr, tt.host, tt.path); got != tt.want {
			t.Errorf("GET %s from %s: %q, want %q", tt.path, tt.host, got, tt.want)
		}
	}
	if got := r.instances["shop"].Metadata["http"]; got != "http://"+shared {
		t.Errorf("announced for HTTP: %q", got)
	}
	if got := r.instances["plain"].Metadata["http"]; got != "" {
		t.Errorf("announced for HTTP without handlers: %q", got)
	}
}

// A stock client reaches services by their names: those of others, and those of the same app over a socket.
func TestHTTPTransport(t *testing.T) {
	caller, pages := greeterNamed("caller"), greeterNamed("pages")
	pages.Handle("GET /list", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "listed for "+r.Host) }))
	client := &http.Client{Transport: caller.HTTPTransport()} // before Run
	r := run(t, new(hanse.App), caller, pages)
	for _, c := range []*http.Client{client, {Transport: r.HTTPTransport()}} {
		resp, err := c.Get("http://pages/list")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(b) != "listed for pages" || err != nil || resp.Proto != "HTTP/2.0" {
			t.Errorf("%s %q, %v", resp.Proto, b, err)
		}
	}
}
