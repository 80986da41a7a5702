package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestConsolePage calls methods from the console, and makes the same calls by the commands that it gives.
func TestConsolePage(t *testing.T) {
	shop := observe(t, func(o *observed) { o.config = strings.Replace(o.config, "step: 100ms", "step: 1s", 1) })
	v := shop.look(t)
	v.press("gc")
	v.until("the page", `location.pathname === "/console"`)
	v.shows("main", "Nothing was called yet")

	t.Log("by the form")
	v.choose("service", "catalog")
	v.choose("method", "shop.catalog.v1.Catalog/ListProducts")
	v.shows(".request", "ListProducts pages through the products")
	v.fill("a number", one("input", "page_size"), "2")
	v.choose("sort", "SORT_NAME")
	v.until("the address has it", `JSON.parse(new URLSearchParams(location.search).get("body") ?? "{}").pageSize === 2`)
	v.click("Call", button("Call"))
	v.shows(".answer-head", "OK")
	answer := func() string { return v.text(`document.querySelector(".answer .json").innerText`) }
	products := func(text string) (names []string) {
		t.Helper()
		var reply struct{ Products []struct{ Name string } }
		if err := json.Unmarshal([]byte(text), &reply); err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		for _, p := range reply.Products {
			names = append(names, p.Name)
		}
		return names
	}
	want := products(answer())
	if len(want) != 2 {
		t.Errorf("the answer has products %q, want 2", want)
	}
	v.until("its own trace beside it", `document.querySelectorAll(".call-span").length > 0 && document.querySelector(".call-trace").innerText.includes("Catalog/ListProducts")`)

	t.Log("as commands")
	v.click("Copy as", button("Copy as"))
	command := func(name string) string {
		t.Helper()
		v.until("there is "+name, `document.querySelector('[data-command="`+name+`"]')`)
		return v.text(`document.querySelector('[data-command="` + name + `"]').innerText`)
	}
	shell, grpcurl := shop.shell(t)
	for _, name := range []string{"hanse call", "curl"} {
		if got := products(shell(command(name))); strings.Join(got, ", ") != strings.Join(want, ", ") {
			t.Errorf("%s answers %q, want %q", name, got, want)
		}
	}
	same := func(name, what, got, want string) {
		t.Helper()
		if a, b := values(t, got), values(t, want); len(b) == 0 || !reflect.DeepEqual(a, b) {
			t.Errorf("%s: %s answers\n%s\nand the page\n%s", what, name, got, want)
		}
	}
	if grpcurl {
		same("grpcurl", "a unary call", shell(command("grpcurl")), answer())
	}
	// What is copied is what is shown, to the letter.
	v.do("the clipboard may be used",
		call(cdpbrowser.SetPermission, cdpbrowser.SetPermissionParams{Permission: &cdpbrowser.PermissionDescriptor{Name: "clipboard-read"}, Setting: cdpbrowser.PermissionSettingGranted}),
		call(cdpbrowser.SetPermission, cdpbrowser.SetPermissionParams{Permission: &cdpbrowser.PermissionDescriptor{Name: "clipboard-write"}, Setting: cdpbrowser.PermissionSettingGranted}),
		call(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}))
	for _, name := range []string{"hanse call", "curl", "grpcurl"} {
		shown := v.text(`document.querySelector('[data-command="` + name + `"]').textContent`)
		v.click("copy", button("copy as "+name))
		v.until(name+" is copied", button("copied"))
		copied, err := chromedp.Run(v.ctx, chromedp.Evaluate[string](`navigator.clipboard.readText()`, chromedp.EvalAwaitPromise))
		if err != nil || copied != shown || !strings.HasPrefix(copied, name) {
			t.Errorf("%s is %q, and copied was %q, %v", name, shown, copied, err)
		}
		v.until("it can be copied again", `!`+button("copied"))
	}
	v.picture("console")

	t.Log("as JSON, with metadata and a deadline")
	v.click("JSON", button("JSON"))
	message := one("textarea", "message as JSON")
	v.fill("the message", message, `{"category": `)
	v.until("a mistake is told", `document.querySelector(".form-wrong[role=alert]") && `+button("Call")+`.disabled`)
	v.fill("the message", message, `{"category": "o'clock"}`)
	v.click("more", `document.querySelector(".request-more summary")`)
	v.click("Add metadata", button("Add metadata"))
	v.fill("a name", one("input", "name of metadata 1"), "x-who")
	v.fill("a value", one("input", "value of metadata 1"), "it's me")
	v.fill("the deadline", `document.querySelector("#deadline")`, "2x")
	v.shows(".form-wrong", "the deadline is no time")
	v.fill("the deadline", `document.querySelector("#deadline")`, "5s")
	v.until("the address has it", `new URLSearchParams(location.search).get("timeout") === "5s"`)
	v.press(kb.Enter, chromedp.ModifierCtrl)
	v.shows(".answer-head", "NotFound")
	v.shows(".answer-error", "o'clock")
	failing := map[string]string{"hanse call": "5000ms", "curl": "5000"}
	if grpcurl {
		failing["grpcurl"] = "-max-time 5"
	}
	for name, deadline := range failing {
		text := command(name)
		for _, part := range []string{"x-who:", `it'\''s me`, `o'\''clock`, deadline} {
			if !strings.Contains(text, part) {
				t.Errorf("%s lacks %s:\n%s", name, part, text)
			}
		}
		if out := shell(text); !strings.Contains(out, "o'clock") || !strings.Contains(strings.ReplaceAll(strings.ToLower(out), "_", ""), "notfound") {
			t.Errorf("%s answers\n%s", name, out)
		}
	}
	v.reload()
	v.until("all of it is there after a reload", message+`.value.includes("o'clock") && document.querySelector("#deadline").value === "5s"`)

	t.Log("history")
	v.until("both calls", `document.querySelectorAll(".history li").length === 2 && document.querySelector(".history li").innerText.includes("NotFound")`)
	v.click("the first one", `document.querySelectorAll(".history li button")[1]`)
	v.until("its message", `JSON.parse(`+message+`.value).pageSize === 2`)
	v.click("Call", button("Call"))
	v.shows(".answer-head", "OK")
	if got := products(answer()); strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("the same call answers %q, want %q", got, want)
	}

	t.Log("a stream")
	order := shop.buy(t)
	v.open("/console?method=orders/shop.orders.v1.Orders/WatchOrder")
	v.shows(".request", "server stream")
	v.fill("the order", one("input", "id"), order)
	v.click("Call", button("Call"))
	v.until("messages as they come", `document.querySelectorAll(".stream .line.message").length >= 2`)
	v.until("its end", `document.querySelector(".answer-head").innerText.includes("OK") && document.querySelector(".stream .line.message:last-child").innerText.includes("STATUS_DELIVERED")`)
	v.until("its trace", `document.querySelector(".call-trace").innerText.includes("Orders/WatchOrder")`)
	v.picture("stream")
	v.click("Copy as", button("Copy as"))
	if out := shell(command("hanse call")); !strings.Contains(out, "STATUS_DELIVERED") || !strings.Contains(out, order) {
		t.Errorf("hanse call answers\n%s", out)
	}
	if grpcurl {
		same("grpcurl", "a stream", shell(command("grpcurl")), shell(command("hanse call")))
	}
	v.shows(".commands", "Not possible: streams have frames")
	v.click("its trace", button("Open the trace"))
	v.until("the trace", `/^\/traces\/[0-9a-f]{32}$/.test(location.pathname) && document.querySelectorAll("[role=treeitem]").length > 0`)
}

// TestConsoleAnswerIsSeen makes a call with a long form in low windows: the answer is in sight when it comes, and the button wherever the form is.
func TestConsoleAnswerIsSeen(t *testing.T) {
	shop := observe(t)
	v := shop.look(t)
	seen := func(element string) string {
		return fmt.Sprintf(`((e) => { if (!e) return false; const b = e.getBoundingClientRect(); return b.width > 0 && b.top >= 0 && b.bottom <= innerHeight && e.contains(document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2)); })(%s)`, element)
	}
	for _, size := range []struct{ width, height int64 }{{1280, 720}, {1600, 1000}, {900, 720}, {400, 720}} {
		v.screen(size.width, "dark")
		v.do("the size", call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: size.width, Height: size.height, DeviceScaleFactor: 1, Mobile: size.width < 600}))
		v.open(`/console?method=checkout/shop.checkout.v1.Checkout/PlaceOrder&body={"key":"a","address":{"name":"Ada"},"card":{"number":"4242"},"expectedTotal":{"currency":"EUR"}}`)
		for _, where := range []string{"the top", "the end"} {
			v.until(fmt.Sprintf("the form from %s, %d px", where, size.width), fmt.Sprintf(`((f) => f && (main.scrollTo(0, 0), main.scrollTop = %q === "the top" ? 0 : f.getBoundingClientRect().bottom - main.clientHeight, true))(document.querySelector(".request"))`, where))
			v.until(fmt.Sprintf("Call, from %s, %d px", where, size.width), seen(button("Call"))+` && (`+button("Call")+`.click(), true)`)
			v.until(fmt.Sprintf("the answer, from %s, %d px", where, size.width), `document.querySelector(".answer-head")?.innerText.includes("InvalidArgument") && `+seen(`document.querySelector(".answer-error strong")`))
		}
	}
}

// values are the JSON values of a text, one after the other.
func values(t *testing.T, text string) (all []any) {
	t.Helper()
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var v any
		if err := d.Decode(&v); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		all = append(all, v)
	}
}

// tools is where `make test` puts what tests run.
const tools = "../../.tmp/bin"

// shell returns what runs a command where the shop can be reached, as `hanse dev` would let it be, and returns what it prints; and whether it
// finds grpcurl.
func (o *observed) shell(t *testing.T) (run func(command string) string, grpcurl bool) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil && os.Getenv("HANSE_CI") == "" {
		t.Skip("no curl, so the rest of the console is not looked at: install it")
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "hanse"), "./cmd/hanse")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the hanse command: %v\n%s", err, out)
	}
	made, err := filepath.Abs(tools)
	if err != nil {
		t.Fatal(err)
	}
	path := strings.Join([]string{bin, made, os.Getenv("PATH")}, string(filepath.ListSeparator))
	run = func(command string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
		cmd.Env = append(os.Environ(), "PATH="+path, "HANSE_REGISTRY="+o.registry.String(), "NO_COLOR=1")
		out, err := cmd.Output()
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			out = append(out, failed.Stderr...)
		}
		return string(out)
	}
	if grpcurl = strings.Contains(run("command -v grpcurl"), "grpcurl"); !grpcurl {
		say := t.Logf
		if os.Getenv("HANSE_CI") != "" {
			say = t.Fatalf
		}
		say("no grpcurl, so what the console copies for it is not run: go -C tools/grpcurl build -o $PWD/.tmp/bin/grpcurl github.com/fullstorydev/grpcurl/cmd/grpcurl")
	}
	return run, grpcurl
}
