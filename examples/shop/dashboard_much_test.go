package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/debugger"
	"github.com/chromedp/cdproto/profiler"
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

// counts returns what tells how often, since it was called last, the function of the page ran that has the text: a component was rendered that often.
func (v *viewer) counts(text string) func() int64 {
	v.t.Helper()
	yes := true
	v.do("count calls", call(profiler.Enable, cdp.Empty{}), call(debugger.Enable, debugger.EnableParams{}),
		call(profiler.StartPreciseCoverage, profiler.StartPreciseCoverageParams{CallCount: &yes}))
	sources := make(map[cdp.ScriptID][]uint16)
	return func() (n int64) {
		v.t.Helper()
		_, err := chromedp.Run(v.ctx, func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
			taken, err := cdp.Call(ctx, target, profiler.TakePreciseCoverage, cdp.Empty{})
			if err != nil {
				return chromedp.Void{}, err
			}
			for _, script := range taken.Result {
				if !strings.Contains(script.URL, "/assets/app-") {
					continue
				}
				if sources[script.ScriptID] == nil {
					source, err := cdp.Call(ctx, target, debugger.GetScriptSource, debugger.GetScriptSourceParams{ScriptID: script.ScriptID})
					if err != nil {
						return chromedp.Void{}, err
					}
					sources[script.ScriptID] = utf16.Encode([]rune(source.ScriptSource))
				}
				var least *profiler.CoverageRange // the innermost
				for _, f := range script.Functions {
					r := f.Ranges[0]
					body := string(utf16.Decode(sources[script.ScriptID][r.StartOffset:r.EndOffset]))
					if strings.Contains(body, text) && (least == nil || r.EndOffset-r.StartOffset < least.EndOffset-least.StartOffset) {
						least = r
					}
				}
				if least != nil {
					n += least.Count
				}
			}
			return chromedp.Void{}, nil
		})
		if err != nil {
			v.t.Fatal(err)
		}
		return n
	}
}

// still waits until nothing was rendered in an element for some frames.
func (v *viewer) still(selector string) {
	v.t.Helper()
	v.do("it stands still", evaluate(fmt.Sprintf(`new Promise((done) => {
		let frames = 0;
		const seen = new MutationObserver(() => (frames = 0));
		seen.observe(document.querySelector(%q), {subtree: true, childList: true, attributes: true, characterData: true});
		const step = () => (++frames > 5 ? (seen.disconnect(), done(true)) : requestAnimationFrame(step));
		requestAnimationFrame(step);
	})`, selector)))
}

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

	renders := v.counts("wf-row ${")
	for _, step := range []struct {
		what, script string
		least, most  int64
	}{
		{"another span is selected", `e.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowDown", bubbles: true, cancelable: true}))`, 2, 2},
		{"to the middle", fmt.Sprintf(`e.scrollTop = %d * 26`, manySpans/2), 20, 120},
		{"ten rows down", `e.scrollTop += 260`, 10, 12},
		{"back", `e.scrollTop -= 260`, 10, 12},
		{"a pixel", `e.scrollTop += 1`, 0, 1},
	} {
		v.still(".wf-rows")
		renders()
		v.text(`((e) => { ` + step.script + ` })(document.querySelector(".wf-rows"))`)
		v.still(".wf-rows")
		if n := renders(); n < step.least || n > step.most {
			t.Errorf("trace, %s: %d rows were rendered, want %d to %d", step.what, n, step.least, step.most)
		}
	}

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
	renders = v.counts("log-row ${")
	v.text(fmt.Sprintf(`document.querySelector(".log-list").scrollTop = %d * 22`, manyLines/2))
	for _, rows := range []int64{10, -10} {
		v.still(".log-list")
		renders()
		v.text(fmt.Sprintf(`document.querySelector(".log-list").scrollTop += %d * 22`, rows))
		v.still(".log-list")
		if n := renders(); n < 10 || n > 12 {
			t.Errorf("log, %d rows down: %d were rendered, want 10 to 12", rows, n)
		}
	}
	measure("log: scroll", ".log-list", `e.scrollTop += 4000`)
	measure("log: jump", ".log-list", `e.scrollTop = (n * 7919 % 100) / 100 * e.scrollHeight`)
	v.until("the end", fmt.Sprintf(`((l) => (l.scrollTop = 1e9, l.innerText.includes("line %d ")))(document.querySelector(".log-list"))`, manyLines-1))
	bounded("few lines are there at the end", ".log-row", 160)
}
