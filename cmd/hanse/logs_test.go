package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/charmbracelet/colorprofile"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/control"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/logs"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/telemetry/collector"
	"github.com/hanse-go/hanse/telemetry/filter"
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
		services, f, err := parseTerms("logs", filter.Parse, tt.args, tt.trace, "shop", names)
		if got := fmt.Sprintf("%v %v %v", services, f, err); got != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.args, got, tt.want)
		}
	}
}

// TestNoLogs holds that who looks is told that there is nothing, and nobody else.
func TestNoLogs(t *testing.T) {
	like, err := filter.Parse("order:7")
	if err != nil {
		t.Fatal(err)
	}
	line := collector.Log{Service: "cart", Message: "sold", Time: time.Now()}
	for _, tt := range []struct {
		q              control.LogQuery
		terminal, json bool
		lines          []collector.Log
		want           string
	}{
		{control.LogQuery{N: 9}, true, false, nil, "No line was printed. Wait for new ones with --follow.\n"},
		{control.LogQuery{N: 9, Filter: like}, true, false, nil, "No line is like order:7. Ask for less or wait for new ones with --follow.\n"},
		{control.LogQuery{N: 9, Filter: like, Services: []string{"cart", "stock"}}, true, true, nil, "No line of cart or stock is like order:7. Ask for less, see what there is with hanse logs or wait for new ones with --follow.\n"},
		{control.LogQuery{N: 9, Filter: like}, false, false, nil, ""},
		{control.LogQuery{N: 9}, true, false, []collector.Log{line}, ""},
		{control.LogQuery{N: 0}, true, false, nil, ""},
		{control.LogQuery{N: 9, Follow: true}, true, false, []collector.Log{line}, ""},
	} {
		var out, errs bytes.Buffer
		u := &ui.UI{Out: &out, Err: colorprofile.NewWriter(&errs, nil), Terminal: tt.terminal, JSON: tt.json}
		err := printLogs(u, new(logs.Renderer), tt.q, func(show func(collector.Log)) error {
			for _, l := range tt.lines {
				show(l)
			}
			return nil
		})
		if err != nil || errs.String() != tt.want || (out.Len() > 0) != (len(tt.lines) > 0) {
			t.Errorf("%+v, terminal %v: %q and %q, want %q, %v", tt.q, tt.terminal, out.String(), errs.String(), tt.want, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var out, errs bytes.Buffer
		u := &ui.UI{Out: &out, Err: &errs, Terminal: true}
		if err := printLogs(u, new(logs.Renderer), control.LogQuery{N: 9, Follow: true, Filter: like}, func(show func(collector.Log)) error {
			time.Sleep(2 * time.Second)
			show(line)
			return nil
		}); err != nil || errs.String() != "No line is like order:7. New ones are shown as they come; Ctrl-C ends.\n" || !strings.Contains(out.String(), "sold") {
			t.Errorf("who follows: %q, %q, %v", out.String(), errs.String(), err)
		}
	})
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
