package hanse_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/config"
)

// What a service reads is told with where it came from, and secrets are not.
func TestConfigReport(t *testing.T) {
	file := t.TempDir() + "/shop.yaml"
	if err := writeFile(file, "cart:\n  max-items: 7\n  token: hush\n"); err != nil {
		t.Fatal(err)
	}
	var cfg struct {
		MaxItems int    `default:"20" desc:"most items"`
		Currency string `default:"EUR"`
		Token    config.Secret
	}
	cart := &hanse.Service{Name: "cart", Setup: func(_ context.Context, s *hanse.Service) error { return s.Config(&cfg) }}
	r := run(t, &hanse.App{ConfigFile: file, AdminAddr: "127.0.0.1:0"}, cart, &hanse.Service{Name: "mail"})
	res, err := http.Get("http://" + r.instances["cart"].Admin + "/debug/config?service=cart")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var reports []struct {
		Service  string
		Settings []struct{ Path, Value, Source, Env, Desc string }
	}
	if err := json.Unmarshal(text, &reports); err != nil || len(reports) != 1 || len(reports[0].Settings) != 3 {
		t.Fatalf("%s, %v", text, err)
	}
	if strings.Contains(string(text), "hush") {
		t.Errorf("a secret is told: %s", text)
	}
	got := reports[0].Settings
	if s := got[0]; s.Path != "cart.max-items" || s.Value != "7" || !strings.HasSuffix(s.Source, "shop.yaml:2:14") || s.Env != "CART_MAX_ITEMS" || s.Desc != "most items" {
		t.Errorf("%+v", s)
	}
	if got[1].Source != "default" || got[1].Value != "EUR" || got[2].Value != "[secret]" {
		t.Errorf("%+v", got[1:])
	}
}
