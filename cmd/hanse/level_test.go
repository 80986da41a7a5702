package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
)

// TestLevel holds that levels are shown and switched from the shell.
func TestLevel(t *testing.T) {
	runs(t, false, &hanse.Service{Name: "cart"}, &hanse.Service{Name: "payment"})
	levels := func(args ...string) string {
		t.Helper()
		out, errs, exit := types(t, append([]string{"level", "--json"}, args...)...)
		var rows []levelRow
		if err := json.Unmarshal([]byte(out), &rows); exit != 0 || err != nil {
			t.Fatalf("%q: %d %s%s", args, exit, out, errs)
		}
		var parts []string
		for _, r := range rows {
			if r.Instance == "" {
				t.Errorf("%q: %+v", args, r)
			}
			parts = append(parts, r.Service+"="+r.Level)
		}
		return strings.Join(parts, " ")
	}
	for _, tt := range []struct{ args, want string }{
		{"", "cart= payment="},
		{"cart=debug", "cart=DEBUG"},
		{"payment=warn cart", "cart=DEBUG payment=WARN"},
		{"", "cart=DEBUG payment=WARN"},
		{"info+2", "cart=INFO+2 payment=INFO+2"},
		{"cart=error", "cart=ERROR"},
		{"cart=default", "cart=INFO+2"},
	} {
		if got := levels(strings.Fields(tt.args)...); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.args, got, tt.want)
		}
	}
	if out, _, exit := types(t, "level", "cart=debug"); exit != 0 || !strings.Contains(out, "SERVICE") || !strings.Contains(out, "DEBUG") {
		t.Errorf("%d %s", exit, out)
	}
	for args, want := range map[string]string{
		"cart=loud": `level: "cart=loud": no level "loud"`,
		"=debug":    "names no service",
		"crat":      "crat",
	} {
		if out, errs, exit := types(t, "level", args); exit == 0 || !strings.Contains(errs, want) {
			t.Errorf("%s: %d %s %s", args, exit, out, errs)
		}
	}
}
