package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestTracesSpread holds that the points stand for all traces where the list has no room for them, and say so.
func TestTracesSpread(t *testing.T) {
	o := observe(t)
	began := time.Now().Add(-10 * time.Minute)
	var spans []string
	for i := range 1500 {
		at, code := began.Add(5*time.Minute+time.Duration(i)*10*time.Millisecond), 0
		if i < 3 {
			at, code = began, 2 // long ago, and failed
		}
		spans = append(spans, fmt.Sprintf(`{"traceId":"%032x","spanId":"%016x","name":"GET /","kind":2,"startTimeUnixNano":"%d","endTimeUnixNano":"%d","status":{"code":%d}}`,
			i+1, i+1, at.UnixNano(), at.Add(time.Duration(1+i%40)*time.Millisecond).UnixNano(), code))
	}
	body := `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"many"}}]},"scopeSpans":[{"spans":[` + strings.Join(spans, ",") + `]}]}]}`
	req := httptest.NewRequest(http.MethodPost, "/v1/traces", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	if o.page.Collector.Handler().ServeHTTP(answer, req); answer.Code != http.StatusOK {
		t.Fatalf("%d: %s", answer.Code, answer.Body)
	}
	v := o.look(t)
	v.open("/traces?q=service:many")
	v.until("it is said that these are some", `document.querySelector(".scatter-note")?.innerText.startsWith("1,000 of 1,500 traces stand for all") ||
		/^1\S* of 1\S* traces stand for all/.test(document.querySelector(".scatter-note")?.innerText)`)
	v.until("those that failed are among them, though the list has the newest", `/ 3 of them with errors/.test(document.querySelector(".scatter canvas").getAttribute("aria-label")) && !document.querySelector(".table-row.bad")`)
	v.picture("spread")
	v.open("/traces?q=service:many%20status:error")
	v.until("all of few", rowsOf("traces")+`.length === 3 && !document.querySelector(".scatter-note")`)
}
