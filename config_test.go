package hanse_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
)

func TestConfigFile(t *testing.T) {
	type settings struct {
		Greeting string `default:"Hello"`
		Times    int    `default:"1"`
	}
	withFile := func(content string) (settings, error) {
		file := t.TempDir() + "/shop.yaml"
		if err := writeFile(file, content); err != nil {
			t.Fatal(err)
		}
		var cfg settings
		svc := &hanse.Service{Name: "cart", Setup: func(_ context.Context, s *hanse.Service) error { return s.Config(&cfg) }}
		ctx, cancel := context.WithCancel(t.Context())
		svc.Go("stop", func(context.Context) error { cancel(); return nil })
		return cfg, errors.Join((&hanse.App{ConfigFile: file}).Run(ctx, svc), func() error {
			if cfg.Times != 3 && !strings.Contains(content, "tims") {
				return fmt.Errorf("times %d", cfg.Times)
			}
			return nil
		}())
	}
	if _, err := withFile("cart: {times: 3}\n"); err != nil {
		t.Error(err)
	}
	_, err := withFile("cart: {tims: 3}\n")
	wantError(t, err, `no setting "tims"`, `did you mean "times"?`, "shop.yaml:1")
	wantError(t, (&hanse.Service{Name: "cart"}).Config(&settings{}), "call it in Setup")
}
