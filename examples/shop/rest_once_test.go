package main

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
)

// TestRESTCountsOnce asks for a product by REST: the catalog has done one thing, though it was asked in two ways.
func TestRESTCountsOnce(t *testing.T) {
	const times = 25
	shop := observe(t)
	for range times {
		req, err := http.NewRequest("GET", "http://"+shop.address+"/v1/products/kontor-mug", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "catalog"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		if resp.Body.Close(); resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	var d collector.ServiceDetail
	counted := func() string {
		d, _ = shop.page.Collector.Service(t.Context(), "catalog", collector.Window{}) // nothing is told yet
		text := ""
		for _, m := range d.Methods {
			text += fmt.Sprintf("%s %s %.0f; ", m.Kind, m.Name, math.Round(m.Calls*300))
		}
		return text
	}
	want := fmt.Sprintf("http GET /v1/products/{id} %d; rpc shop.catalog.v1.Catalog/GetProduct %[1]d; ", times)
	for deadline := time.Now().Add(patience); counted() != want; <-time.After(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the methods are %s\nwant %s", counted(), want)
		}
	}
	if n := math.Round(d.Numbers.Calls * 300); n != times {
		t.Errorf("the service has done %v things, want %d", n, times)
	}
}
