package main

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// TestLogsPage reads what services say: by filters, as it comes, and from a line to its trace and back.
func TestLogsPage(t *testing.T) {
	shop := observe(t)
	v := shop.look(t)
	v.press("gl")
	v.until("the page", `location.pathname === "/logs"`)
	v.shows("main", "Nothing was said yet")

	shop.fault(t, "POST", "service=payment&error=UNAVAILABLE")
	shop.buyInVain(t)
	shop.fault(t, "DELETE", "service=payment")
	for range 60 { // each says a line
		shop.fault(t, "POST", "service=cart&percent=0.001&delay=1ms")
	}
	lines := `[...document.querySelectorAll("[role=list][aria-label='log lines'] .log-row")]`
	// has waits until there are lines, and all are like this.
	has := func(what, each string) {
		t.Helper()
		v.until(what, lines+`.length > 0 && `+lines+`.every((l) => `+each+`)`)
	}
	v.until("all lines", lines+`.length > 0 && +`+lines+`[0].ariaSetSize > 60`)
	v.picture("logs")

	t.Log("filters")
	field := one("input", "filter lines")
	v.click("checkout", button("checkout"))
	has("those of a service", `l.querySelector(".log-service").innerText === "checkout"`)
	v.click("payment, too", button("payment"))
	v.until("those of two", `new Set(`+lines+`.map((l) => l.querySelector(".log-service").innerText)).size === 2`)
	v.reload()
	v.until("the same after a reload", `new Set(`+lines+`.map((l) => l.querySelector(".log-service").innerText)).size === 2`)
	v.click("All", `document.querySelector(".log-services button")`)
	v.click("error", `document.querySelector("[aria-label=level] [title='error and worse']")`)
	v.shows("main", "No line fits")
	v.click("warn", `document.querySelector("[aria-label=level] [title='warn and worse']")`)
	has("warnings", `l.classList.contains("warn")`)
	v.fill("the filter", field, `"left to the clerk"`)
	has("by text, which is marked", `l.querySelector("mark")?.innerText === "left to the clerk"`)
	v.fill("the filter", field, `/fault (begins|ends)/ -service:cart`)
	has("by a regular expression", `l.querySelector(".log-service").innerText === "payment" && l.innerText.includes("a fault begins")`)
	v.fill("the filter", field, `fault>3 fault<=10`)
	has("by a number", `[4, 5, 6, 7, 8, 9, 10].some((n) => l.innerText.includes("fault=" + n + " "))`)
	v.reload()
	v.until("the same after a reload", lines+`.length === 7 && location.search.includes("level=warn")`)
	v.fill("the filter", field, `/(/`)
	v.shows("main", "This filter cannot be read")
	v.fill("the filter", field, "")

	t.Log("to the trace, and back")
	v.fill("the filter", field, `refund order:*`)
	v.until("one line", lines+`.length === 1`)
	v.click("the line", lines+`[0]`)
	v.shows(".log-details", "refund is left to the clerk")
	v.picture("log-line")
	address := v.text("location.href")
	v.click("Open the trace", button("Open the trace"))
	v.until("its span", `/^\/traces\/[0-9a-f]{32}$/.test(location.pathname) && document.querySelector(".details .details-logs")?.innerText.includes("refund is left to the clerk")`)
	v.click("the line in its span", `document.querySelector(".details-logs a")`)
	v.until("the lines of the trace, with this one open", `location.pathname === "/logs" && location.search.includes("trace%3A") && document.querySelector(".log-details")`)
	v.press("t")
	v.until("its span by a key", `/^\/traces\//.test(location.pathname)`)
	v.do("back to the first", evaluate(`history.go(-3)`))
	v.until("as it was", `location.href === "`+address+`" && document.querySelector(".log-details")?.innerText.includes("refund is left to the clerk")`)
	v.press(kb.Escape)
	v.until("it is closed", `!document.querySelector(".log-details")`)
	v.press("/")
	v.until("the filter has the focus", `document.activeElement === `+field)

	t.Log("nothing moves while it is read")
	v.fill("the filter", field, "service:cart")
	list := `document.querySelector("[role=list][aria-label='log lines']")`
	v.until("its lines", lines+`.length > 10 && +`+lines+`[0].ariaSetSize === 60`)
	v.until("the newest is seen", list+`.scrollTop > 0 && `+lines+`.at(-1).ariaPosInSet === "60"`)
	v.leave()
	v.do("scroll up", evaluate(list+`.scrollTop = 200`))
	v.until("it says that it stands", `document.querySelector(".log-pill")?.innerText.trim() === "To the newest"`)
	first := v.text(lines + `[0].id`)
	for range 5 {
		shop.fault(t, "POST", "service=cart&percent=0.001&delay=1ms")
	}
	v.until("new lines wait", `document.querySelector(".log-pill")?.innerText.trim() === "5 new lines"`)
	if now := v.text(lines + `[0].id`); now != first || v.text(list+`.scrollTop`) != "200" {
		t.Errorf("the lines moved while they were read: %s, %s, scrolled %s", first, now, v.text(list+`.scrollTop`))
	}
	v.press("e")
	v.until("the newest", `!document.querySelector(".log-pill") && `+lines+`.at(-1).ariaPosInSet === "65"`)
	shop.fault(t, "POST", "service=cart&percent=0.001&delay=1ms")
	v.until("it follows", lines+`.at(-1).ariaPosInSet === "66"`)
	v.press("p")
	v.shows(".log-pill", "paused")
	shop.fault(t, "POST", "service=cart&percent=0.001&delay=1ms")
	v.until("it counts what comes", `/^paused, \d+ new$/.test(document.querySelector(".nav .live").innerText.trim())`)
	if n := v.text(lines + `.at(-1).ariaPosInSet`); n != "66" {
		t.Errorf("a page that is paused shows line %s", n)
	}
	v.press("p")
	v.until("it goes on", lines+`.at(-1).ariaPosInSet === "67"`)
	v.press("k")
	v.until("a line is chosen by a key", `document.querySelector(".log-row.chosen") && document.querySelector(".log-details")`)
}
