package collector

import (
	"regexp"
	"testing"

	"github.com/hanse-go/hanse/telemetry/filter"
)

// People read the text of a slow method, and the grammar of filters its filter.
func TestSlowText(t *testing.T) {
	now, then := counted{tally: tally{calls: 100}}, counted{tally: tally{calls: 100}}
	now.hist.addExplicit([]float64{0.04, 0.05}, []uint64{0, 100, 0})
	then.hist.addExplicit([]float64{0.001, 0.002}, []uint64{0, 100, 0})
	p, ok := slow(served{service: "cart", method: "shop.v1.Carts/Get"}, now, then, span{})
	if !ok {
		t.Fatal("25 times as slow as before is no problem")
	}
	if !regexp.MustCompile(`^cart is slow: Carts/Get takes 4\d\.\d ms$|^cart is slow: Carts/Get takes 50\.0 ms$`).MatchString(p.Title) {
		t.Errorf("title %q", p.Title)
	}
	if !regexp.MustCompile(`^one call in twenty takes [\d.]+ ms or longer; in the minutes before it was [\d.]+ ms$`).MatchString(p.Reason) {
		t.Errorf("reason %q", p.Reason)
	}
	if _, err := filter.Parse(p.Filter); err != nil || !regexp.MustCompile(`^service:cart duration>[\d.]+ms$`).MatchString(p.Filter) {
		t.Errorf("filter %q: %v", p.Filter, err)
	}
}
