package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestTracesRunning holds that a trace with a stream that has not ended is said to run, one whose beginning was lost is not, and no stream is among
// the slowest.
func TestTracesRunning(t *testing.T) {
	o := observe(t)
	now := time.Now()
	const resource = `{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"desk"}}]},`
	post := func(path, body string) {
		t.Helper()
		req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		answer := httptest.NewRecorder()
		if o.page.Collector.Handler().ServeHTTP(answer, req); answer.Code != http.StatusOK {
			t.Fatalf("%s: %d: %s", path, answer.Code, answer.Body)
		}
	}
	var spans []string
	span := func(trace int, name, parent string, from, took time.Duration, attributes string) {
		spans = append(spans, fmt.Sprintf(`{"traceId":"%032x","spanId":"%016x","parentSpanId":"%s","name":"%s","kind":2,"startTimeUnixNano":"%d","endTimeUnixNano":"%d","attributes":[%s]}`,
			trace, len(spans)+1, parent, name, now.Add(-from).UnixNano(), now.Add(took-from).UnixNano(), attributes))
	}
	const open, lost = "00000000000000aa", "00000000000000bb"
	for i := range 8 {
		span(1, "shop.v1.Catalog/Get", open, time.Duration(8-i)*time.Minute, 20*time.Millisecond, "")
	}
	span(2, "shop.v1.Catalog/Lost", lost, 6*time.Minute, 200*time.Millisecond, "")
	span(3, "shop.v1.Orders/Ended", "", 12*time.Minute, 10*time.Minute, `{"key":"hanse.rpc.stream","value":{"boolValue":true}}`)
	for i := range 5 {
		span(4+i, "shop.v1.Orders/Slow", "", time.Duration(2*i+1)*time.Minute, time.Duration(5-i)*time.Second, "")
	}
	post("/v1/traces", `{"resourceSpans":[`+resource+`"scopeSpans":[{"spans":[`+strings.Join(spans, ",")+`]}]}]}`)
	post("/v1/metrics", fmt.Sprintf(`{"resourceMetrics":[`+resource+`"scopeMetrics":[{"metrics":[{"name":"hanse.rpc.server.open_streams","unit":"{call}","sum":{"aggregationTemporality":2,"dataPoints":[`+
		`{"timeUnixNano":"%d","asInt":"1","attributes":[{"key":"rpc.method","value":{"stringValue":"shop.v1.Orders/Watch"}}],`+
		`"exemplars":[{"timeUnixNano":"%d","asInt":"1","traceId":"%032x","spanId":"%s"}]}]}}]}]}]}`, now.UnixNano(), now.Add(-8*time.Minute).UnixNano(), 1, open))

	v := o.look(t)
	v.open("/traces?q=service:desk&order=slowest&sort=-duration")
	rows := rowsOf("traces")
	v.until("streams, and what has no beginning, come last", rows+`.length === 8 && `+rows+`.slice(0, 5).every((r) => r.innerText.includes("Orders/Slow")) && `+rows+`[5].innerText.includes("Orders/Ended")`)
	v.until("what runs is said to", rows+`.filter((r) => r.innerText.includes("running") && !r.querySelector(".gap-mark") && r.innerText.includes("Catalog/Get")).length === 1`)
	v.until("what was lost is not", rows+`.filter((r) => r.querySelector(".gap-mark") && !r.innerText.includes("running") && r.innerText.includes("Catalog/Lost")).length === 1`)
	v.picture("running")
	v.open(fmt.Sprintf("/traces/%032x", 1))
	v.until("the trace runs", `document.querySelector(".trace-note")?.innerText.includes("running") && document.querySelector(".wf-row.gap .wf-span")?.innerText === "running"`)
	v.click("the stream", `document.querySelector(".wf-row.gap .wf-span")`)
	v.until("what is known of it", `document.querySelector(".details")?.innerText.includes("A stream that goes on")`)
	v.picture("running-trace")
	v.open(fmt.Sprintf("/traces/%032x", 2))
	v.until("the other one does not", `document.querySelector(".wf-row.gap .wf-span")?.innerText === "not recorded" && !document.querySelector(".trace-note").innerText.includes("running")`)
}
