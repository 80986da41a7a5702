package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/hanse-go/hanse"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// purchase is who calls whom when something is bought, and whom an order is told to, as the code of the shop has it.
var purchase = []string{
	"checkout cart RPC",
	"checkout catalog RPC",
	"checkout orders RPC",
	"checkout payment RPC",
	"checkout shipping RPC",
	"orders orders.placed event",
	"orders shipping RPC",
	"orders.placed email event",
	"orders.placed loyalty event",
	"orders.placed stock event",
	"recommendation catalog RPC",
	"storefront cart RPC",
	"storefront catalog RPC",
	"storefront checkout RPC",
	"storefront currency RPC",
	"storefront loyalty RPC",
	"storefront orders RPC",
	"storefront recommendation RPC",
	"storefront shipping RPC",
	"storefront stock RPC",
}

// TestMap wants on the live map what happens for a purchase, and nothing else.
func TestMap(t *testing.T) {
	shop := observe(t)
	v := shop.look(t)
	shop.buy(t)
	// On the map an event goes from service to service, so that a topic is three lines and no place.
	v.until("all lines", fmt.Sprintf(`document.querySelectorAll(".map-edge.dashed").length === 3 && document.querySelectorAll(".map-edge").length === %d`, len(purchase)-4+3))
	v.until("whom the storefront calls", `[...document.querySelector('.map-nodes a[href="/services/storefront"]').innerText.matchAll(/cart|catalog|checkout|currency|loyalty|orders|recommendation|shipping|stock/g)].length === 9`)
	v.picture("map")
	v.click("List", button("List"))
	v.until("these connections: "+strings.Join(purchase, ", "), fmt.Sprintf(`%s.map((r) => [...r.querySelectorAll("[role=cell]")].slice(0, 3).map((c) => c.innerText.trim()).join(" ")).sort().join() === %q`,
		rowsOf("connections"), strings.Join(purchase, ",")))
}

// TestMapIsFree wants no control over a service of the map, in a low window and on a phone, wherever the map is scrolled to.
func TestMapIsFree(t *testing.T) {
	shop := observe(t)
	shop.buy(t)
	v := shop.look(t)
	v.until("all lines", `document.querySelectorAll(".map-edge.dashed").length === 3`)
	for _, size := range []struct{ width, height int64 }{{1280, 720}, {400, 720}} {
		for _, theme := range []string{"dark", "light"} {
			v.screen(size.width, theme)
			if size.width < 640 {
				v.click("Map", button("Map"))
			}
			v.do("the size", call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: size.width, Height: size.height, DeviceScaleFactor: 1, Mobile: size.width < 600}))
			for _, zoom := range []string{"as it fits", "larger"} {
				if zoom == "larger" {
					v.click(zoom, button(zoom))
				}
				covered := `((e) => (e.scrollIntoView({block: "center"}), [...document.querySelectorAll(".map-node")].filter((n) => {
					n.scrollIntoView({block: "nearest", inline: "nearest"});
					const b = n.getBoundingClientRect();
					return [[6, 6], [b.width - 6, 6], [6, b.height - 6], [b.width - 6, b.height - 6]].some(([x, y]) => !n.contains(document.elementFromPoint(b.x + x, b.y + y)));
				}).map((n) => n.innerText).join()))(document.querySelector(".map"))`
				v.until(fmt.Sprint("the map is drawn for ", size.width), fmt.Sprintf(`innerWidth === %d && document.querySelectorAll(".map-node").length === %d`, size.width, len(services())))
				v.do("a frame", evaluate(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`))
				if what := v.text(covered); what != "" {
					t.Errorf("%d px, %s, %s: covered is %s", size.width, theme, zoom, what)
				}
			}
			v.click("as it fits", button("as it fits"))
			v.until("the map", `(document.querySelector("main").scrollTo(0, 0), document.querySelector(".map").scrollIntoView({block: "end"}), true)`)
			shot, err := chromedp.Run(v.ctx, chromedp.CaptureScreenshot())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(screenshots, fmt.Sprintf("dashboard-low-%d-%s.png", size.width, theme)), shot, 0o644); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestMapTells wants numbers on the map that can be read: no number lies over another one or over a service, they stand still, a service
// that only calls says how much, and a phone begins with the list, and has the whole map.
func TestMapTells(t *testing.T) {
	shop := observe(t)
	// Three ask the same three, so that their lines cross.
	asked := map[string]string{
		"cart": "/shop.cart.v1.Carts/GetCart", "currency": "/shop.currency.v1.Currencies/ListCurrencies", "payment": "/shop.payment.v1.Payments/GetPayment",
	}
	for _, name := range []string{"clerk", "porter", "usher"} {
		shop.join(t, &hanse.Service{Name: name, Setup: func(_ context.Context, s *hanse.Service) error {
			for one, method := range asked {
				other := s.Conn(one)
				s.Go("ask "+one, func(ctx context.Context) error {
					// What has no ID is there for none of them: that is an answer, too.
					if err := other.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{}); status.Code(err) == codes.Unavailable || status.Code(err) == codes.Unimplemented {
						return err
					}
					<-ctx.Done()
					return nil
				})
			}
			return nil
		}})
	}
	shop.buy(t)
	v := shop.look(t)
	drawn := fmt.Sprintf(`document.querySelectorAll(".map-edge.dashed").length === 3 && document.querySelectorAll(".map-edge").length === %d`, len(purchase)-4+3+3*len(asked))
	v.until("all lines", drawn)
	v.until("what the clerk does", `/^clerk\s+makes [\d.]+\/(s|min)/.test(document.querySelector('.map-nodes a[href="/services/clerk"]').innerText)`)
	v.press("p")
	v.until("it is paused", `document.querySelector(".nav .live").getAttribute("aria-pressed") === "true"`)
	boxes := `[...document.querySelectorAll(".map-label, .map-node")].map((e) => [e.innerText.replace(/\s+/g, " "), e.getBoundingClientRect(), e.className])`
	over := fmt.Sprintf(`((all) => all.flatMap(([a, x, c], i) => c.includes("map-label") ? all.filter(([, y], j) => i !== j && x.left < y.right && y.left < x.right && x.top < y.bottom && y.top < x.bottom).map(([b]) => a + " over " + b) : []).join("\n"))(%s)`, boxes)
	if v.text(`document.querySelectorAll(".map-label").length`) == "0" {
		t.Error("no line has its numbers")
	}
	if what := v.text(over); what != "" {
		t.Errorf("numbers that cannot be read:\n%s", what)
	}
	places := `[...document.querySelectorAll(".map-label")].map((e) => e.style.transform).sort().join()`
	before := v.text(places)
	v.reload()
	v.until("all lines again", drawn)
	if now := v.text(places); now != before {
		t.Errorf("the same map has other places after a reload:\n%s\n%s", before, now)
	}

	v.screen(400, "light")
	v.until("a phone begins with the list", `document.querySelector("[role=table][aria-label=connections]") && !document.querySelector(".map")`)
	if cut := v.text(`[...document.querySelectorAll("[aria-label=connections] .ellipsis")].filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.innerText).join()`); cut != "" {
		t.Errorf("names that are cut: %s", cut)
	}
	v.click("Map", button("Map"))
	v.until("the whole map", `((m) => m && m.scrollWidth <= m.clientWidth && document.querySelectorAll(".map-node").length > 0)(document.querySelector(".map-view"))`)
	if cut := v.text(`[...document.querySelectorAll(".map-node .ellipsis")].filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.innerText).join()`); cut != "" {
		t.Errorf("names of the map that are cut: %s", cut)
	}
}

// TestThreeClicks finds out why nothing can be bought, from the overview to the line in the log.
func TestThreeClicks(t *testing.T) {
	shop := observe(t)
	v := shop.look(t)
	v.shows("main", "Nothing is wrong now")
	shop.fault(t, "POST", "service=payment&error=UNAVAILABLE")
	for range 3 {
		shop.buyInVain(t)
	}
	problem := `[...document.querySelectorAll(".problem")].find((p) => p.querySelector("strong").innerText.endsWith("of calls to Payments/Charge"))`
	v.until("what is wrong, and why", problem+`?.innerText.includes("errors on purpose")`)
	v.picture("problem")
	v.clicks = 0
	v.click("its trace", problem+`?.querySelector("a[href^='/traces/']")`)
	v.click("the lines of the trace", button("1 line"))
	v.click("the line", `[...document.querySelectorAll(".trace-logs a")].find((a) => a.innerText === "refund is left to the clerk")`)
	v.until("the line, with its reason", `location.pathname === "/logs" && document.querySelector(".log-details")?.innerText.includes("errors on purpose")`)
	if v.clicks != 3 {
		t.Errorf("it took %d clicks, want 3", v.clicks)
	}
}
