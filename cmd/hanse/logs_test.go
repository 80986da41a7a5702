package main

import (
	"fmt"
	"testing"
	"time"
)

func TestParseTerms(t *testing.T) {
	names := []string{"hanse", "cart", "payment"}
	for _, tt := range []struct {
		args  []string
		trace string
		want  string // services, filter and error
	}{
		{nil, "", "[]  <nil>"},
		{[]string{"cart", "hanse"}, "", "[cart hanse]  <nil>"},
		{[]string{"level:warn payment -timeout"}, "", "[] level:warn payment -timeout <nil>"},
		{[]string{"cart", "level:warn", "/a b/", `"cart"`}, "", "[cart] level:warn /a b/ cart <nil>"},
		{[]string{"timeout"}, "4bf9", "[] trace:4bf9 timeout <nil>"},
		{[]string{"crat"}, "", `[]  there is no service "crat" in shop; did you mean cart? The text would be '"crat"'`},
		{[]string{`"crat"`}, "", "[] crat <nil>"},
		{[]string{"levl:warn"}, "", "[]  logs: no field levl: did you mean level? (@levl is an attribute of that name)\n  levl:warn\n  ^^^^"},
		{nil, "xyz", "[]  logs: \"xyz\" is no ID of a trace: it has the digits 0 to 9 and a to f\n  trace:xyz\n        ^^^"},
	} {
		services, f, err := parseTerms("logs", tt.args, tt.trace, "shop", names)
		if got := fmt.Sprintf("%v %v %v", services, f, err); got != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.args, got, tt.want)
		}
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.FixedZone("", 3600))
	for text, want := range map[string]string{
		"10m": "2026-01-31T11:50:00+01:00", "0s": "2026-01-31T12:00:00+01:00", "11:30": "2026-01-31T11:30:00+01:00", "23:59:58": "2026-01-30T23:59:58+01:00",
		"2026-01-31T09:00:00Z": "2026-01-31T09:00:00Z", "noon": "", "-5m": "", "25:00": "",
	} {
		got, err := parseSince("logs", text, now)
		if (err != nil) != (want == "") || err == nil && got.Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}
