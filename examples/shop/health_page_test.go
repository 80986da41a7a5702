package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
)

// TestHealth has a service whose database goes away: Overview and the page of the service say which check fails and why, until it is met again.
func TestHealth(t *testing.T) {
	shop := observe(t)
	var away atomic.Pointer[string]
	shop.join(t, &hanse.Service{Name: "ledger", CheckEvery: 200 * time.Millisecond, Setup: func(_ context.Context, s *hanse.Service) error {
		s.Check("database", func(context.Context) error {
			if reason := away.Load(); reason != nil {
				return errors.New(*reason)
			}
			return nil
		})
		return nil
	}})
	v := shop.look(t)
	v.until("it is ready", `document.querySelector('nav a[href="/services/ledger"] [aria-label=ready]')`)
	v.shows("main", "Nothing is wrong now")

	reason := "dial tcp 10.0.0.7:5432: connection refused"
	away.Store(&reason)
	v.until("what is wrong, and why", `((p) => p?.querySelector("strong").innerText === "ledger is not ready: database" && p.innerText.includes("`+reason+`"))(document.querySelector(".problem"))`)
	v.until("nothing else", `document.querySelectorAll(".problem").length === 1`)
	v.until("the map has it", `document.querySelector('.map-nodes a[href="/services/ledger"].bad')?.innerText.includes("not ready: database")`)
	v.until("the list of services has it", `[...document.querySelectorAll("[role=table][aria-label=services] [role=row]")].some((r) => r.innerText.includes("ledger") && r.querySelector(".badge.bad")?.innerText.startsWith("not ready: database"))`)
	v.picture("unwell")
	v.click("the service", `document.querySelector(".problem a[href='/services/ledger']")`)
	v.until("its page says so", `((e) => e?.querySelector("strong").innerText.trim() === "database is down" && e.innerText.includes("`+reason+`"))(document.querySelector("[aria-label='what is not well'] .problem"))`)
	v.click("Instances", button("Instances"))
	checks := `[...document.querySelectorAll("[role=table][aria-label=checks] [role=row]")].map((r) => r.innerText.replace(/\s+/g, " ").trim()).slice(1).map((r) => r.replace(/ [0-9a-z]{8} /, " ")).join("; ")`
	v.until("all its checks", checks+` === "state well –; database down `+reason+`"`)
	v.picture("checks")

	away.Store(nil)
	v.until("it is well again", `document.querySelector('nav a[href="/services/ledger"] [aria-label=ready]') && !document.querySelector("[aria-label='what is not well']")`)
	v.until("so are all its checks", checks+` === "state well –; database well –"`)
	v.open("/")
	v.shows("main", "Nothing is wrong now")
}
