package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take to show what it should. A machine that is busy needs some of it; a failure needs all.
const patience = 60 * time.Second

// viewer looks at the dashboard in a real browser. Elements are given as expressions of JavaScript.
type viewer struct {
	t          *testing.T
	ctx        context.Context
	complaints func() []string // of the browser
	axe        string          // the source of axe-core
	clicks     int             // how often click clicked
}

// look opens a window, in which the dashboard shows all services of the shop.
func (o *observed) look(t *testing.T) *viewer {
	t.Helper()
	ctx, cancel := chromedp.NewContext(startChromium(t))
	t.Cleanup(cancel)
	v := &viewer{t: t, ctx: ctx, complaints: listen(t, ctx), axe: axe(t)}
	v.screen(1440, "dark")
	v.do("open", chromedp.Navigate(o.link))
	for _, s := range services() {
		v.until(s.Name+" is ready", fmt.Sprintf(`document.querySelector('nav a[href="/services/%s"] [aria-label=ready]')`, s.Name))
	}
	t.Cleanup(func() {
		for _, c := range v.complaints() {
			// 400: a filter with a mistake. 404: a service of which no call was told. 409: what somebody else has changed.
			if !strings.Contains(c, "400") && !strings.Contains(c, "404") && !strings.Contains(c, "409") {
				t.Errorf("the browser complains: %s", c)
			}
		}
	})
	return v
}

func (v *viewer) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	ctx, stop := context.WithTimeout(v.ctx, patience)
	defer stop()
	if err := chromedp.Do(ctx, actions...); err != nil {
		v.t.Fatalf("%s: %v", what, err)
	}
}

// until waits until an expression is true.
func (v *viewer) until(what, expression string) {
	v.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last error
	for deadline := time.After(patience); ; {
		ok, err := chromedp.Run(v.ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		if err == nil && ok {
			return
		}
		last = err // between two pages there is one
		select {
		case <-tick.C:
		case <-deadline:
			v.t.Fatalf("waited in vain: %s (%v); at %s the page says\n%s", what, last, v.text("location.href"), v.text("document.body.innerText"))
		}
	}
}

// text is the value of an expression.
func (v *viewer) text(expression string) string {
	v.t.Helper()
	text, err := chromedp.Run(v.ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		v.t.Errorf("%s: %v", expression, err)
	}
	return text
}

// one is the element with a name: its label, or else its text.
func one(selector, name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(%q)].find((e) => (e.getAttribute("aria-label") ?? e.innerText).trim() === %q)`, selector, name)
}

// button is a button or a link of the page with that name.
func button(name string) string { return one("main button, main a", name) }

// shows waits for a text in an element.
func (v *viewer) shows(selector, text string) {
	v.t.Helper()
	v.until(fmt.Sprintf("%s shows %q", selector, text), fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.innerText.includes(%q))`, selector, text))
}

// hit is true where an element is there and nothing lies over it: it can be clicked.
const hit = `((e) => {
	if (!e) return false;
	e.scrollIntoView({block: "center", inline: "center"});
	const box = e.getBoundingClientRect();
	const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
	return !!top && (e === top || e.contains(top) || top.contains(e)) && !e.disabled;
})`

// click clicks on an element as soon as that can be done.
func (v *viewer) click(what, element string) {
	v.t.Helper()
	v.clicks++
	v.until("a click on "+what, fmt.Sprintf(`((e) => %s(e) && (e.click(), true))(%s)`, hit, element))
}

// fill writes a text into a field, instead of what is there.
func (v *viewer) fill(what, element, text string) {
	v.t.Helper()
	v.until("to write into "+what, fmt.Sprintf(`((e) => e && (e.focus(), e.select(), document.execCommand(%[2]q ? "insertText" : "delete", false, %[2]q), true))(%[1]s)`, element, text))
}

// choose takes an option of a select with that label.
func (v *viewer) choose(label, value string) {
	v.t.Helper()
	v.until(fmt.Sprintf("there is %q to choose as %s", value, label), fmt.Sprintf(`((e) => e && [...e.options].some((o) => o.value === %[2]q) && (e.value = %[2]q, e.dispatchEvent(new Event("change", {bubbles: true})), true))(document.querySelector('select[aria-label=%[1]q]'))`, label, value))
}

// press presses keys (package kb), one after the other.
func (v *viewer) press(keys string, modifiers ...chromedp.Modifier) {
	v.t.Helper()
	// What is on the page takes keys from the next frame on.
	v.do(fmt.Sprintf("key %q", keys), evaluate(`new Promise((done) => requestAnimationFrame(() => setTimeout(() => requestAnimationFrame(() => setTimeout(done)))))`), chromedp.KeyEvent(keys, chromedp.KeyModifiers(modifiers...)))
}

// leave takes the focus from a field.
func (v *viewer) leave() {
	v.t.Helper()
	v.do("leave a field", evaluate(`document.activeElement.blur()`))
}

// open goes to an address of the dashboard, as a link within the page does not: anew.
func (v *viewer) open(path string) {
	v.t.Helper()
	v.do("open "+path, chromedp.Navigate(v.text("location.origin")+path))
}

func (v *viewer) reload() {
	v.t.Helper()
	v.do("reload", chromedp.Reload())
}

func (v *viewer) screen(width int64, theme string) {
	v.t.Helper()
	v.do(fmt.Sprint(width, " px, ", theme),
		call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 1000, DeviceScaleFactor: 1, Mobile: width < 600}),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}))
}

// picture keeps pictures of the page on all screens, in the dark and in the light. No page may be wider than its screen, and all people must
// be able to use it.
func (v *viewer) picture(name string) {
	v.t.Helper()
	for _, width := range []int64{1440, 1024, 400} {
		for _, theme := range []string{"dark", "light"} {
			v.screen(width, theme)
			v.until("the theme", fmt.Sprintf(`document.documentElement.dataset.theme === %q`, theme))
			v.do("a frame", evaluate(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`))
			wide, err := chromedp.Run(v.ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > innerWidth || main.scrollWidth > main.clientWidth`))
			if err != nil || wide {
				v.t.Errorf("%s is wider than a screen of %d px: %v, %v", name, width, wide, err)
			}
			if width != 1024 {
				v.accessible(fmt.Sprintf("%s, %d px, %s", name, width, theme))
			}
			picture, err := chromedp.Run(v.ctx, chromedp.CaptureScreenshot())
			if err != nil {
				v.t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(screenshots, fmt.Sprintf("dashboard-%s-%d-%s.png", name, width, theme)), picture, 0o644); err != nil {
				v.t.Error(err)
			}
		}
	}
	v.screen(1440, "dark")
}
