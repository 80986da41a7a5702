package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// axeFile is axe-core, which `make test` fetches.
const axeFile = "../../.tmp/axe.js"

// axe returns the source of axe-core, or "" when it was not fetched.
func axe(t *testing.T) string {
	t.Helper()
	script, err := os.ReadFile(axeFile)
	if err != nil {
		if os.Getenv("HANSE_CI") != "" {
			t.Fatalf("axe-core was not fetched (go -C tools/assets run . -axe $PWD/.tmp/axe.js): %v", err)
		}
		t.Log("axe-core is not here, so nobody looks for what people with a disability cannot use: go -C tools/assets run . -axe $PWD/.tmp/axe.js")
		return ""
	}
	return string(script)
}

// violation is a rule of axe-core that the page breaks.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string `json:"html"`
		FailureSummary string
	}
}

// accessible fails the test when axe-core finds something serious on the page. The browser runs it from outside, for the page's content
// security policy lets nothing in.
func (v *viewer) accessible(what string) {
	v.t.Helper()
	if v.axe == "" {
		return
	}
	if v.text(`typeof axe`) == "undefined" {
		v.do("axe-core", evaluate(v.axe+"; 0"))
	}
	text, err := chromedp.Run(v.ctx, chromedp.Evaluate[string](`axe.run(document, {resultTypes: ["violations"]}).then((r) =>
		JSON.stringify(r.violations.filter((v) => v.impact === "serious" || v.impact === "critical")))`, chromedp.EvalAwaitPromise))
	if err != nil {
		v.t.Fatalf("axe-core on %s: %v", what, err)
	}
	var list []violation
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		v.t.Fatal(err)
	}
	for _, one := range list {
		var where strings.Builder
		for _, n := range one.Nodes[:min(len(one.Nodes), 3)] {
			fmt.Fprintf(&where, "\n\t%.200s\n\t\t%s", n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", "\n\t\t"))
		}
		v.t.Errorf("%s: %s (%s, %s), %d times:%s", what, one.Help, one.ID, one.Impact, len(one.Nodes), where.String())
	}
}
