package ui_test

import (
	"testing"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
)

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.004: "< 0.01/s", 0.05: "0.05/s", 12.34: "12.3/s", 1250.4: "1250/s"} {
		if got := ui.Rate(v); got != want {
			t.Errorf("Rate(%v) = %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0 %", 0.0004: "< 0.1 %", 0.025: "2.5 %", 0.0996: "10 %", 1: "100 %"} {
		if got := ui.Percent(v); got != want {
			t.Errorf("Percent(%v) = %q, want %q", v, got, want)
		}
	}
	for n, want := range map[int]string{0: "0 spans", 1: "1 span", 999: "999 spans", 1200: "1,200 spans", 1234567: "1,234,567 spans"} {
		if got := ui.Plural(n, "span"); got != want {
			t.Errorf("Plural(%d) = %q, want %q", n, got, want)
		}
	}
	for name, want := range map[string]string{
		"shop.cart.v1.Carts/Get": "Carts/Get", "/a.B/C": "B/C", "B/C": "B/C", "GET /orders/{id}": "GET /orders/{id}", "SELECT a.b": "SELECT a.b", "": "",
	} {
		if got := ui.Method(name); got != want {
			t.Errorf("Method(%q) = %q, want %q", name, got, want)
		}
	}
}
