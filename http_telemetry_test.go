package hanse_test

import (
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/internal/otlptest"
	"github.com/hanse-go/hanse/telemetry"
)

// TestPageSpans holds that a trace begins at a page, and goes on through what the page asks of other services, by plain HTTP and by annotations.
func TestPageSpans(t *testing.T) {
	received := otlptest.New(t)
	site, stock := greeterNamed("site"), greeterNamed("stock")
	stock.Handle("GET /list/{kind}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "listed") }))
	client := &http.Client{Transport: site.HTTPTransport()}
	site.Handle("/{$}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, url := range []string{"http://stock/list/wine", "http://melons/v1/melons"} {
			out, _ := http.NewRequestWithContext(r.Context(), "GET", url, nil)
			resp, err := client.Do(out)
			if err != nil {
				t.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		w.WriteHeader(http.StatusTeapot)
	}))
	app := run(t, &hanse.App{Telemetry: telemetry.Config{
		Traces: telemetry.Export{URL: received.URL}, Sampler: telemetry.AlwaysOn, Batch: telemetry.Batch{Delay: time.Millisecond},
	}}, site, stock, annotated(t, "melons", "/v1/melons"))
	resp, err := http.Get("http://" + app.addr("site") + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	spans := received.Wait(t, 6)
	find := func(parent, name string) string {
		t.Helper()
		i := slices.IndexFunc(spans, func(s otlptest.Span) bool { return s.Parent == parent && s.Service+" "+s.Kind+" "+s.Name == name })
		if i < 0 {
			t.Fatalf("no span %q below %q in %+v", name, parent, spans)
		}
		found := spans[i]
		spans = slices.Delete(spans, i, i+1)
		if found.Kind == "client" && (found.Attributes["hanse.instance"] == "" || found.Attributes["server.address"] == "" || found.Attributes["network.protocol.version"] != "2") {
			t.Errorf("%s has %v", name, found.Attributes)
		}
		return found.ID
	}
	page := find("", "site server GET /")
	one := find(page, "site client GET")
	two := find(page, "site client GET")
	if slices.ContainsFunc(spans, func(s otlptest.Span) bool { return s.Parent == two && s.Service == "stock" }) {
		one, two = two, one
	}
	find(one, "stock server GET /list/{kind}")
	find(find(two, "melons server GET /v1/melons"), "melons server _OTHER") // nobody has the method
}
