package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/hanse-go/hanse/telemetry/collector"
)

const (
	manySpans = 10_000
	manyLines = 100_000
	manyTrace = "0000000000000000000000000000beef"
)

// tellMuch tells the collector of one long request, and of many lines.
func tellMuch(t *testing.T, c *collector.Collector) {
	t.Helper()
	began := time.Now().Add(-time.Minute)
	handler := c.Handler()
	for first := 0; first < manySpans; first += 1000 {
		var spans []string
		for i := first; i < first+1000; i++ {
			parent, start, took := "", time.Duration(i)*3*time.Millisecond, 2*time.Millisecond
			switch {
			case i == 0:
				took = manySpans * 3 * time.Millisecond
			case i%100 == 1: // a hundred groups
				parent, took = fmt.Sprintf(`"parentSpanId":"%016x",`, 1), 297*time.Millisecond
			default:
				parent = fmt.Sprintf(`"parentSpanId":"%016x",`, i-(i+99)%100+1)
			}
			at := began.Add(start)
			spans = append(spans, fmt.Sprintf(`{"traceId":%q,"spanId":"%016x",%s"name":"report.v1.Report/Step%d","kind":2,"startTimeUnixNano":"%d","endTimeUnixNano":"%d"}`,
				manyTrace, i+1, parent, i, at.UnixNano(), at.Add(took).UnixNano()))
		}
		body := `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"report"}}]},"scopeSpans":[{"spans":[` + strings.Join(spans, ",") + `]}]}]}`
		req := httptest.NewRequest(http.MethodPost, "/v1/traces", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		answer := httptest.NewRecorder()
		if handler.ServeHTTP(answer, req); answer.Code != http.StatusOK {
			t.Fatalf("%d: %s", answer.Code, answer.Body)
		}
	}
	list := make([]collector.Log, 0, 5000)
	for i := range manyLines {
		list = append(list, collector.Log{Time: began.Add(time.Duration(i) * 100 * time.Microsecond), Service: "report", Level: "INFO", Message: fmt.Sprintf("line %d of the report", i)})
		if len(list) == cap(list) {
			c.AddLogs(list...)
			list = list[:0]
		}
	}
}

// frames measures how long the frames are in which something is done to the element e: the script is called with n = 0, 1, …
const frames = `new Promise((done) => {
	const e = document.querySelector(%q), all = [], long = [];
	const seen = new PerformanceObserver((l) => long.push(...l.getEntries()));
	seen.observe({entryTypes: ["longtask"]});
	let last = 0, n = 0;
	const step = (now) => {
		if (last) all.push(now - last);
		last = now;
		if (n < 240) { ((n) => { %s })(n++); requestAnimationFrame(step); return; }
		all.sort((a, b) => a - b);
		setTimeout(() => done([all[all.length >> 1], all[Math.floor(all.length * 0.95)], all[all.length - 1]].map((v) => v.toFixed(1).padStart(8)).join(" ") + String(long.length).padStart(8)), 100);
	};
	requestAnimationFrame(step);
})`

// TestDashboardMuch opens a trace of 10,000 spans and a log of 100,000 lines: all of them can be reached, and only those that are seen are
// in the document. With HANSE_FRAMES=1 it prints how long frames take.
func TestDashboardMuch(t *testing.T) {
	o := observe(t)
	tellMuch(t, o.page.Collector)
	v := o.look(t)
	measure := func(what, selector, script string) {
		t.Helper()
		if os.Getenv("HANSE_FRAMES") == "" {
			return
		}
		line, err := chromedp.Run(v.ctx, chromedp.Evaluate[string](fmt.Sprintf(frames, selector, script), chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		fmt.Printf("%-40s %s\n", what, line)
	}
	if os.Getenv("HANSE_FRAMES") != "" {
		fmt.Printf("%-40s %8s %8s %8s %8s\n", "frames, ms", "p50", "p95", "worst", "long")
	}
	bounded := func(what, selector string, most int) {
		t.Helper()
		v.until(what, fmt.Sprintf(`((n) => n > 0 && n <= %d)(document.querySelectorAll(%q).length)`, most, selector))
	}

	v.open("/traces/" + manyTrace)
	v.until("all spans", fmt.Sprintf(`document.querySelector("[role=tree]")?.getAttribute("aria-label") === "%d.0k spans of the trace"`, manySpans/1000))
	bounded("few rows", ".wf-row", 120)
	measure("trace: scroll", ".wf-rows", `e.scrollTop += 400`)
	v.until("the end", `(document.querySelector(".wf-rows").scrollTop = 1e9, document.querySelector(".wf-rows").innerText.includes("Step9999"))`)
	bounded("few rows at the end", ".wf-row", 120)
	measure("trace: arrow keys", ".wf-rows", `e.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowUp", bubbles: true, cancelable: true}))`)
	v.until("the root", `(document.querySelector(".wf-rows").dispatchEvent(new KeyboardEvent("keydown", {key: "Home", bubbles: true, cancelable: true})), document.querySelector(".wf-row.active")?.innerText.includes("Step0"))`)
	measure("trace: collapse and open the root", ".wf-rows", `if (n % 20 === 0) e.dispatchEvent(new KeyboardEvent("keydown", {key: " ", bubbles: true, cancelable: true}))`)
	v.until("the root is focused", `(document.querySelector(".wf-rows").dispatchEvent(new KeyboardEvent("keydown", {key: "Home", bubbles: true, cancelable: true})), document.querySelector(".wf-row.active"))`)
	v.text(`document.querySelector(".wf-rows").dispatchEvent(new KeyboardEvent("keydown", {key: " ", bubbles: true, cancelable: true}))`)
	v.until("it is closed", `document.querySelectorAll(".wf-row").length === 1`)
	v.text(`document.querySelector(".wf-rows").dispatchEvent(new KeyboardEvent("keydown", {key: " ", bubbles: true, cancelable: true}))`)
	v.until("it is open", `document.querySelectorAll(".wf-row").length > 5`)

	v.open("/logs?service=report")
	v.until("the newest line", fmt.Sprintf(`document.querySelector(".log-list")?.innerText.includes("line %d ")`, manyLines-1))
	// Older lines come until there are no more: the list is as high as its lines, and the first is there.
	v.until("all lines", fmt.Sprintf(`((l) => {
		if (!document.querySelector(".log-row")) return false;
		l.scrollTop = 0;
		document.querySelector(".log-older button")?.click();
		return l.innerText.includes("line 0 ") && l.scrollHeight >= %d * 15;
	})(document.querySelector(".log-list"))`, manyLines))
	bounded("few lines are there", ".log-row", 160)
	measure("log: scroll", ".log-list", `e.scrollTop += 4000`)
	measure("log: jump", ".log-list", `e.scrollTop = (n * 7919 % 100) / 100 * e.scrollHeight`)
	v.until("the end", fmt.Sprintf(`((l) => (l.scrollTop = 1e9, l.innerText.includes("line %d ")))(document.querySelector(".log-list"))`, manyLines-1))
	bounded("few lines are there at the end", ".log-row", 160)
}
