package main

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// rowsOf are the rows of a table, without its head.
func rowsOf(table string) string {
	return `[...document.querySelectorAll('[role=table][aria-label="` + table + `"] .table-row')]`
}

// drag draws from one point of an element to another one, both as shares of its size.
func (v *viewer) drag(what, selector string, x1, y1, x2, y2 float64) {
	v.t.Helper()
	v.until("there is "+what, `document.querySelector("`+selector+`")?.clientWidth > 0`)
	box, err := chromedp.Run(v.ctx, chromedp.Evaluate[[]float64](`((e) => (e.scrollIntoView({block: "center"}), e = e.getBoundingClientRect(), [e.x, e.y, e.width, e.height]))(document.querySelector("`+selector+`"))`))
	if err != nil || len(box) != 4 {
		v.t.Fatalf("%s: %v, %v", what, box, err)
	}
	at := func(kind input.DispatchMouseEventType, x, y float64) chromedp.Action[chromedp.Void] {
		return chromedp.MouseEvent(kind, box[0]+x*box[2], box[1]+y*box[3], func(p *input.DispatchMouseEventParams) {
			p.Button, p.Buttons, p.ClickCount = input.MouseButtonLeft, 1, 1
		})
	}
	v.do("draw in "+what, at(chromedp.MousePressed, x1, y1), at(chromedp.MouseMoved, (x1+x2)/2, (y1+y2)/2), at(chromedp.MouseMoved, x2, y2), at(chromedp.MouseReleased, x2, y2))
	v.do("leave "+what, chromedp.MouseEvent(chromedp.MouseMoved, 5, 5))
}

// TestTracesPage finds purchases in all ways that the page has, and looks into one that failed.
func TestTracesPage(t *testing.T) {
	shop := observe(t)
	v := shop.look(t)
	shop.buy(t)
	shop.fault(t, "POST", "service=payment&error=UNAVAILABLE")
	shop.buyInVain(t)
	shop.fault(t, "DELETE", "service=payment")

	v.press("gt")
	v.until("the page", `location.pathname === "/traces"`)
	rows := rowsOf("traces")
	// The good purchase has none, though it first asks for an order that is not there.
	placed := `(` + rows + `.filter((r) => r.innerText.includes("POST /checkout")))`
	v.until("both purchases", placed+`.length === 2 && `+placed+`.filter((r) => /\d errors/.test(r.innerText)).length === 1 && `+placed+`.filter((r) => r.querySelector(".note")?.innerText === "ok" && !r.classList.contains("bad")).length === 1`)
	v.picture("traces")

	t.Log("search")
	some := func(what, each string) {
		t.Helper()
		v.until(what, rows+`.length > 0 && `+rows+`.every((r) => `+each+`)`)
	}
	field := one("input", "search traces")
	v.choose("service", "payment")
	some("those with a service", `r.querySelector(".swatches").ariaLabel.split(", ").includes("payment")`)
	v.reload()
	some("the same after a reload", `r.querySelector(".swatches").ariaLabel.split(", ").includes("payment")`)
	v.choose("service", "")
	v.click("Errors", button("Errors"))
	some("those that failed", `r.querySelector(".badge.bad")`)
	v.click("Errors", button("Errors"))
	v.fill("the search", field, "duration>1h")
	v.shows("main", "No trace fits")
	v.fill("the search", field, "duration<1h status:error")
	some("those that failed", `r.querySelector(".badge.bad")`)
	v.fill("the search", field, "status:NOT_FOUND method:GetOrder")
	v.until("those that were refused", placed+`.length > 0 && !`+rows+`.some((r) => r.innerText.includes("failed"))`)
	v.fill("the search", field, "duration>")
	v.until("durations are offered", one("[role=option]", "duration>10ms"))
	v.fill("the search", field, "duration:fast")
	v.shows("main", "This search cannot be read")
	v.fill("the search", field, "PlaceOrder")
	v.until("by a word", placed+`.length === 2`)

	t.Log("attributes are offered")
	v.fill("the search", field, "rpc.me")
	v.until("its name is offered", one("[role=option]", "rpc.method:"))
	v.press(kb.ArrowDown)
	v.until("it is chosen", `document.querySelector("[role=option][aria-selected=true]")?.innerText === "rpc.method:"`)
	v.press(kb.Enter)
	v.until("its values are offered", `[...document.querySelectorAll("[role=option]")].some((o) => o.innerText.startsWith("rpc.method:shop."))`)
	v.fill("the search", field, "rpc.method:shop.checkout")
	v.until("a value is taken", `((o) => o && (o.dispatchEvent(new MouseEvent("mousedown", {bubbles: true, cancelable: true})), true))(`+one("[role=option]", "rpc.method:shop.checkout.v1.Checkout/PlaceOrder")+`)`)
	v.until("one attribute", `new URLSearchParams(location.search).get("q") === "rpc.method:shop.checkout.v1.Checkout/PlaceOrder" && `+rows+`.length === 2`)

	t.Log("draw a stretch")
	v.leave()
	v.until("nothing is offered over the points", `!document.querySelector(".offers")`)
	v.drag("the points", ".scatter canvas", 0.3, 0.02, 0.999, 0.85)
	v.until("it is in the address", `["from", "to", "min"].every((p) => new URLSearchParams(location.search).get(p))`)
	v.reload()
	v.until("after a reload", `document.querySelector(".trace-tools").innerText.includes("≥")`)
	v.open("/traces?q=PlaceOrder")
	v.until("both purchases", placed+`.length === 2`)

	t.Log("a trace")
	v.until("the failed one", placed+`.some((r) => /\d errors/.test(r.innerText))`)
	v.press("j")
	v.until("a row has the focus", `document.activeElement.classList.contains("table-row")`)
	v.press(kb.Enter)
	v.until("a trace", `/^\/traces\/[0-9a-f]{32}$/.test(location.pathname)`)
	v.do("back", evaluate(`history.back()`))
	v.click("the failed one", placed+`.find((r) => /\d errors/.test(r.innerText))`)
	spans := `[...document.querySelectorAll("[role=treeitem]")]`
	v.until("its spans, and a line", spans+`.length > 5 && `+spans+`.some((s) => s.innerText.includes("line of logs")) && document.querySelector(".wf-log")`)
	v.picture("trace")
	// Only the rows in sight are in the page: the tree's height tells how many there are.
	tree := `document.querySelector("[role=tree]")`
	lines := `(` + tree + `.firstElementChild.offsetHeight / ` + spans + `[0].offsetHeight)`
	all := lines + ` === parseInt(` + tree + `.ariaLabel)`
	fewer := lines + ` < parseInt(` + tree + `.ariaLabel)`
	v.until("all of them", all)

	v.click("Fold", button("Fold"))
	v.until("fewer spans", fewer+` && location.search.includes("closed=")`)
	v.reload()
	v.until("it stays folded", spans+`.length > 0 && `+fewer+` && `+button("Open all"))
	v.click("Open all", button("Open all"))
	v.until("all", all)
	v.click("the first span", spans+`[0]`)
	v.until("it is selected", spans+`[0].ariaSelected === "true"`)
	v.do("the tree", evaluate(`document.querySelector("[role=tree]").focus()`))
	v.press(kb.ArrowLeft)
	v.until("it is closed by a key", lines+` === 1`)
	v.press(kb.ArrowRight)
	v.until("it is open", all)
	v.press(kb.ArrowDown)
	v.until("the next", spans+`[1].ariaSelected === "true"`)

	v.press("c")
	v.until("the critical path", `document.querySelectorAll(".wf-bar.critical").length > 1 && location.search.includes("critical=1")`)
	v.until("what is on it is told to all", spans+`.some((s) => s.innerText.endsWith("on the critical path"))`)
	v.press("c")

	v.fill("the search of spans", one("input", "search spans"), "Charge")
	v.until("some are found", `document.querySelectorAll(".wf-row.found").length > 1 && /^\d+ spans$/.test(document.querySelector(".found-count").innerText)`)
	v.click("the next one", button("next span that was found (n)"))
	v.until("it is selected", `document.querySelector(".wf-row.active.found") && document.querySelector(".details h2").innerText === "Payments/Charge"`)
	v.drag("the strip of the whole", ".minimap canvas", 0.2, 0.5, 0.6, 0.5)
	v.until("a part of it", `location.search.includes("zoom=0.2-0.6") && document.querySelectorAll(".minimap-off").length === 2`)
	v.press("0")
	v.until("the whole", `!location.search.includes("zoom=")`)

	t.Log("logs, and what was sent")
	v.press("l")
	v.shows(".trace-logs", "refund is left to the clerk")
	v.press("l")
	v.click("the caller", spans+`.find((s) => /^checkout\s+Checkout.PlaceOrder\s[^]*, server/.test(s.innerText))`)
	v.shows(".details-logs", "refund is left to the clerk")
	v.shows(".details", "redacted")
	v.until("the request without the card's number", `((b) => b && b.innerText.includes('"number": "[redacted]"') && b.innerText.includes("Johann Buddenbrook"))(document.querySelector(".details .body"))`)
	if page := v.text("document.documentElement.outerHTML"); strings.Contains(page, "4242") {
		t.Error("the page has the card's number")
	}
	v.press("e")
	v.until("what failed first", `document.querySelector(".wf-row.active.bad") && document.querySelector(".details .badge.bad")?.innerText === "failed"`)
	v.picture("span")
	v.open("/traces?q=PlaceOrder")
	v.click("the good one", placed+`.find((r) => !/\d errors/.test(r.innerText))`)
	v.until("what its caller got wrong is said by its name, and not in red", spans+`.some((s) => s.querySelector(".wf-took").innerText.endsWith(" NOT_FOUND")) && !document.querySelector(".wf-row.bad, .trace-note .bad")`)
	v.picture("refused")
	v.click("it", spans+`.find((s) => s.querySelector(".wf-took").innerText.endsWith(" NOT_FOUND"))`)
	v.until("neither there", `document.querySelector(".details .badge[title]")?.innerText === "NOT_FOUND" && !document.querySelector(".details .bad")`)
	v.click("its charge", spans+`.find((s) => /^payment\s+Payments.Charge\s[^]*, server/.test(s.innerText))`)
	v.until("both messages", `((b) => b.length === 2 && b[0].innerText.includes("[redacted]") && b[1].innerText.includes('"lastFour": "4242"'))([...document.querySelectorAll(".details .body")])`)
	v.click("Open in console", button("Open in console"))
	v.until("the same call", `location.pathname === "/console" && location.search.startsWith("?method=payment%2Fshop.payment.v1.Payments%2FCharge")`)
	v.shows("main h1", "Console")
	// What no trace holds is not sent as if it were a value: it is asked for.
	number := one("input", "card.number")
	v.until("the card without what nobody may see", number+`?.value === "" && `+one("input", "card.holder")+`.value !== ""`)
	v.until("it is asked for", `[...document.querySelectorAll(".form-field")].filter((f) => f.querySelector(":scope > .form-left")).map((f) => f.querySelector("label").innerText).join() === "number,code"`)
	v.picture("repeat")
	v.click("Copy as", button("Copy as"))
	v.until("the rest of it", `/holder.*Johann Buddenbrook/.test(document.querySelector("[data-command='hanse call']")?.innerText)`)
	if text := v.text(`document.querySelector("[data-command='hanse call']").innerText`); strings.Contains(text, "redacted") {
		t.Errorf("the mark is sent as a value:\n%s", text)
	}
	v.fill("the number", number, "4242 4242 4242 4242")
	v.until("only the other one is asked for", `[...document.querySelectorAll(".form-left")].length === 1 && new URLSearchParams(location.search).get("body").includes("4242")`)
}
