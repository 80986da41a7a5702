package driver_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/driver"
)

// The instances of a service at a time are written as IDs; one in capitals drains.
func TestView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
		inst := func(id string) discovery.Instance {
			state := discovery.Ready
			if strings.ToUpper(id) == id {
				state = discovery.Draining
			}
			return discovery.Instance{Service: "cart", ID: strings.ToLower(id), State: state}
		}
		all := func(ids string) (list []discovery.Instance) {
			for id := range strings.SplitSeq(ids, "") {
				list = append(list, inst(id))
			}
			return list
		}
		var v driver.View
		for n, step := range []struct {
			at   int
			do   func()
			want string
			next int // when one that stays is to go; -1: none
		}{
			{0, func() {}, "", -1},
			{0, func() { v.Remove("cart", "a", at(9)) }, "", -1}, // never known
			{0, func() { v.Put(inst("b")) }, "b", -1},
			{0, func() { v.Put(inst("a")) }, "ab", -1},
			{0, func() { v.Remove("other", "a", time.Time{}) }, "ab", -1},
			{0, func() { v.Remove("cart", "a", time.Time{}) }, "b", -1},             // no doubt: gone
			{1, func() { v.Remove("cart", "b", at(5)) }, "b", 5},                    // doubt: it stays
			{2, func() { v.Remove("cart", "b", at(4)) }, "b", 5},                    // and for no less
			{2, func() { v.Remove("cart", "b", time.Time{}) }, "b", 5},              //
			{4, func() { v.Expire(time.Time{}) }, "b", 5},                           // not yet
			{4, func() { v.Put(inst("b")) }, "b", -1},                               // it is back
			{5, func() { v.Expire(time.Time{}) }, "b", -1},                          // and does not go
			{5, func() { v.Put(inst("C")); v.Remove("cart", "c", at(9)) }, "b", -1}, // it drained: it goes
			{6, func() { v.Replace(all("cde"), at(8)) }, "bcde", 8},                 //
			{6, func() { v.Replace(all("de"), at(8)) }, "bcde", 8},                  //
			{6, func() { v.Replace(all("de"), time.Time{}) }, "bcde", 8},            // nothing new of b and c
			{7, func() { v.Replace(all("cde"), at(8)) }, "bcde", 8},                 // c is back
			{8, func() { v.Expire(time.Time{}) }, "cde", -1},                        //
			{8, func() { v.Replace(all("D"), at(9)) }, "cde", 9},                    // doubt
			{8, func() { v.Replace(all("D"), at(11)) }, "cde", 11},                  // and again, before they could come back
			{12, func() { v.Replace(all("De"), at(13)) }, "cde", 13},                // and again: e did
			{12, func() { v.Expire(at(12)) }, "cde", 13},                            //
			{13, func() { v.Expire(at(14)) }, "cde", 14},                            // away when the time of c is over
			{14, func() { v.Remove("cart", "e", time.Time{}) }, "cd", 14},           // it ended, and nothing else happened
			{14, func() { v.Expire(at(14)) }, "d", -1},                              // c did not come back
			{14, func() { v.Remove("cart", "d", at(20)) }, "", -1},                  // the last record counts
			{9, func() { v.Put(discovery.Instance{Service: "cart"}) }, "", -1},      // without ID
		} {
			time.Sleep(time.Until(at(step.at)))
			step.do()
			var got string
			for _, i := range v.List() {
				got += i.ID
			}
			if got != step.want {
				t.Errorf("step %d: %q, want %q", n, got, step.want)
			}
			want := time.Time{}
			if step.next >= 0 {
				want = at(step.next)
			}
			if next := v.NextExpiry(); !next.Equal(want) {
				t.Errorf("step %d: the next goes at %v, want %v", n, next, want)
			}
		}
		if n := len(slices.Collect(v.All())); n != 1 {
			t.Errorf("%d instances are left", n)
		}
		if inst, known := v.Get("cart", ""); !known || inst.Service != "cart" {
			t.Errorf("%v, %v", inst, known)
		}
	})
}

func TestSplitView(t *testing.T) {
	var v driver.SplitView
	list := func() (s string) {
		for _, split := range v.List() {
			s += split.Service + " " + split.String() + "; "
			split.Shares[0].Version = "changed"
		}
		return s
	}
	want := func(want string) {
		t.Helper()
		if got := list(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	put := func(service, record string) error {
		return v.Put(service, []byte(record))
	}
	const cart, catalog = `{"record":1,"service":"cart","shares":[{"version":"v1","percent":100}]}`, `{"record":1,"service":"catalog","shares":[{"version":"v2","percent":100}]}`
	want("")
	for _, err := range []error{put("catalog", catalog), put("cart", cart)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	const both = "cart v1=100; catalog v2=100; "
	want(both)
	for _, bad := range []string{"", "{}", catalog, `{"record":99}`} {
		if err := put("cart", bad); err == nil {
			t.Errorf("%s: no error", bad)
		}
		want(both)
	}
	v.Retain(map[string]bool{"catalog": true, "other": true})
	want("catalog v2=100; ")
	v.Remove("cart")
	v.Remove("catalog")
	want("")
}
