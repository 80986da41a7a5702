package main

import (
	"fmt"
	"testing"

	"github.com/hanse-go/hanse/store"
)

var settled = store.NewBucket[map[string]int]("settled")

// TestStorePage finds keys of a real backplane, changes and deletes values, and is refused what somebody else has changed meanwhile.
func TestStorePage(t *testing.T) {
	change, _, kept := onBackplane(t)
	v := observe(t, change).look(t)
	put := func(key string, n int) {
		t.Helper()
		if _, err := settled.Put(t.Context(), kept, key, map[string]int{"orders": n}); err != nil {
			t.Fatal(err)
		}
	}
	is := func(key string, n int) {
		t.Helper()
		if e, err := settled.Get(t.Context(), kept, key); err != nil || e.Value["orders"] != n {
			t.Errorf("%s is %v, %v, want %d", key, e.Value, err, n)
		}
	}
	keys := func(what, want string) {
		t.Helper()
		v.until(what, fmt.Sprintf(`[...document.querySelectorAll("[role=table][aria-label=keys] code")].map((e) => e.innerText).join() === %q`, want))
	}
	shown := func(n int) string {
		return fmt.Sprintf(`/orders"?:? *%d/.test(document.querySelector(".answer")?.innerText ?? "")`, n)
	}
	put("ann", 1)
	put("berta", 5)
	put("bob", 2)
	v.press("gd")
	v.until("the page", `location.pathname === "/store"`)
	v.click("the bucket", `[...document.querySelectorAll("[role=table][aria-label=buckets] b")].find((e) => e.innerText === "settled")`)
	keys("its keys", "ann,berta,bob")

	t.Log("search")
	search := `document.querySelector("input[aria-label='keys that begin with']")`
	v.fill("the search", search, "b")
	keys("those that begin so", "berta,bob")
	v.fill("the search", search, "bo")
	keys("the one that is meant", "bob")
	v.click("it", one("[role=table][aria-label=keys] code", "bob"))
	v.until("its value", shown(2))
	v.until("all is in the address", `location.search === "?bucket=settled&prefix=bo&key=bob"`)
	v.reload()
	v.until("after a reload, too", shown(2)+` && `+search+`.value === "bo"`)
	keys("after a reload, too", "bob")
	v.fill("the search", search, "xerxes")
	v.shows("main", "No keys")
	v.fill("the search", search, "")
	keys("all", "ann,berta,bob")

	t.Log("a change")
	v.open("/store?bucket=settled&key=ann")
	v.shows("main", "revision")
	v.picture("store")
	v.click("edit", button("Edit"))
	v.fill("the value", `document.querySelector("textarea")`, `{"orders": 7}`)
	put("ann", 3) // somebody else is faster
	v.click("write", button("Write"))
	v.shows(".toasts", "somebody has changed it meanwhile")
	is("ann", 3)
	v.reload()
	v.until("the value of the other", shown(3))
	v.click("edit", button("Edit"))
	v.fill("the value", `document.querySelector("textarea")`, `{"orders": 7}`)
	v.click("write", button("Write"))
	v.until("the new value", shown(7)+` && !document.querySelector("textarea")`)
	is("ann", 7)

	t.Log("a deletion")
	put("ann", 8) // while it is looked at
	v.click("delete", button("Delete"))
	v.click("yes", button("Yes, delete it"))
	v.until("it is refused", `[...document.querySelectorAll(".toasts .bad")].some((e) => /somebody has changed it meanwhile\s+look at it again/.test(e.innerText))`)
	is("ann", 8)
	v.until("what it is now, and the question from the beginning", shown(8)+` && `+button("Delete"))
	keys("it is still there", "ann,berta,bob")
	v.click("delete", button("Delete"))
	v.click("yes", button("Yes, delete it"))
	keys("it is gone", "berta,bob")
	is("bob", 2)
}
