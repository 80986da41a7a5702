package etcddiscovery

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
)

// The instances of a service at a time are written as IDs; one in capitals drains.
func TestView(t *testing.T) {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
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
	var v view
	for n, step := range []struct {
		do   func()
		want string
		next int // when one that stays is to go; -1: none
	}{
		{func() {}, "", -1},
		{func() { v.remove("cart/a", at(0), at(9)) }, "", -1}, // never known
		{func() { v.put(inst("b")) }, "b", -1},
		{func() { v.put(inst("a")) }, "ab", -1},
		{func() { v.remove("cart/a", at(0), time.Time{}) }, "b", -1},             // no doubt: gone
		{func() { v.remove("cart/b", at(1), at(5)) }, "b", 5},                    // doubt: it stays
		{func() { v.remove("cart/b", at(2), at(7)) }, "b", 5},                    // and no longer for being missed again
		{func() { v.expire(at(4)) }, "b", 5},                                     // not yet
		{func() { v.put(inst("b")) }, "b", -1},                                   // it is back
		{func() { v.expire(at(5)) }, "b", -1},                                    // and does not go
		{func() { v.put(inst("C")); v.remove("cart/c", at(5), at(9)) }, "b", -1}, // it drained: it goes
		{func() { v.replace(all("cde"), at(6), at(8)) }, "bcde", 8},
		{func() { v.replace(all("de"), at(6), at(9)) }, "bcde", 8},
		{func() { v.expire(at(8)) }, "cde", 9},
		{func() { v.replace(all("D"), at(8), at(8)) }, "cd", 9}, // no doubt any more, but for c
	} {
		step.do()
		var got string
		for _, i := range v.list() {
			got += i.ID
		}
		if got != step.want {
			t.Errorf("step %d: %q, want %q", n, got, step.want)
		}
		want := time.Time{}
		if step.next >= 0 {
			want = at(step.next)
		}
		if next := v.nextExpiry(); !next.Equal(want) {
			t.Errorf("step %d: the next goes at %v, want %v", n, next, want)
		}
	}
	if list := v.list(); !slices.ContainsFunc(list, func(i discovery.Instance) bool { return i.State == discovery.Draining }) {
		t.Errorf("the last record counts: %+v", list)
	}
}
