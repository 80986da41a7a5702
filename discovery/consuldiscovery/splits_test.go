package consuldiscovery_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/consuldiscovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
)

const cartKey = "hanse/default/splits/cart"

// cartSplit gives v2 of cart so many percent; of 0 there are no rules.
func cartSplit(percent float64) discovery.Split {
	if percent == 0 {
		return discovery.Split{Service: "cart"}
	}
	return discovery.Split{Service: "cart", Shares: []discovery.SplitShare{{Version: "v1", Percent: 100 - percent}, {Version: "v2", Percent: percent}}}
}

// splitOf is cartSplit for another service.
func splitOf(service string, percent float64) discovery.Split {
	split := cartSplit(percent)
	split.Service = service
	return split
}

func setSplit(t *testing.T, reg *consuldiscovery.Registry, percent float64) {
	t.Helper()
	if err := reg.SetSplit(t.Context(), cartSplit(percent)); err != nil {
		t.Fatal(err)
	}
}

func isSplit(percent float64) func([]discovery.Split) bool {
	return func(list []discovery.Split) bool {
		return percent == 0 && len(list) == 0 || len(list) == 1 && list[0].String() == cartSplit(percent).String()
	}
}

// While Consul is away the rules stay, also for who comes late; what happened meanwhile is seen at once when it is back.
func TestSplitsOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		setSplit(t, f.reg, 5)
		w := discoverytest.WatchSplits(t, f.reg, "cart")
		w.Until("it is there", isSplit(5))
		f.net.Cut()
		time.Sleep(time.Minute)
		discoverytest.WatchSplits(t, f.reg, "cart").Until("who comes late is told", isSplit(5))
		f.agent.setKey(cartKey, `{"record":1,"service":"cart","shares":[{"version":"v1","percent":50},{"version":"v2","percent":50}]}`)
		f.net.Mend()
		if !isSplit(50)(w.First()) {
			t.Error("told in between")
		}
		f.logged("Consul is watched again")
	})
}

// Servers that lost their data have lost the rules, also when nobody's connection broke; new ones are heard of.
func TestSplitsWiped(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		for range 20 {
			f.agent.setKey("elsewhere", "x") // a server that was wiped has seen less than its clients
		}
		setSplit(t, f.reg, 5)
		w := discoverytest.WatchSplits(t, f.reg, "cart")
		w.Until("it is there", isSplit(5))
		began := time.Now()
		f.agent.wipe()
		time.Sleep(35 * time.Second)
		w.Until("it is lost", isSplit(0))
		f.within(began, 40*time.Second)
		setSplit(t, f.reg, 1)
		w.Until("it is there again", isSplit(1))
	})
}

// Rules that cannot be read change nothing, and are logged once.
func TestSplitsUnreadable(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		setSplit(t, f.reg, 5)
		w := discoverytest.WatchSplits(t, f.reg, "cart")
		w.Until("it is there", isSplit(5))
		for _, bad := range []string{"", "no record", `{"record":1,"service":"other","shares":[{"version":"v1","percent":100}]}`} {
			f.agent.setKey(cartKey, bad)
			f.agent.setKey("hanse/default/splits/", "") // the folder
			time.Sleep(2 * time.Minute)
		}
		if n := f.log.Count("split rules ignored"); n != 3 {
			t.Errorf("%d warnings, want 3:\n%s", n, f.log)
		}
		discoverytest.WatchSplits(t, f.reg, "cart").Until("it is as it was", isSplit(5))
		setSplit(t, f.reg, 7)
		if !isSplit(7)(w.First()) {
			t.Error("told in between")
		}
	})
}

// That Consul forgets which keys were deleted is no loss of data.
func TestSplitsTombstonesForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		setSplit(t, f.reg, 5)
		f.agent.setKey("hanse/default/splits/gone", "x")
		if err := f.reg.SetSplit(t.Context(), discovery.Split{Service: "gone"}); err != nil {
			t.Fatal(err)
		}
		w := discoverytest.WatchSplits(t, f.reg, "cart")
		w.Until("it is there", isSplit(5))
		f.agent.forget()
		time.Sleep(2 * time.Minute)
		if n := f.log.Count("lost data"); n != 0 {
			t.Errorf("warned:\n%s", f.log)
		}
		setSplit(t, f.reg, 7)
		w.Until("it changed", isSplit(7))
	})
}

// Rules that the token may not read are not taken for rules that are gone.
func TestSplitsHidden(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		setSplit(t, f.reg, 5)
		w := discoverytest.WatchSplits(t, f.reg, "cart")
		w.Until("it is there", isSplit(5))
		f.agent.hide("hanse/")
		time.Sleep(time.Minute)
		f.logged("key_prefix:read")
		f.agent.hide("")
		setSplit(t, f.reg, 7)
		if !isSplit(7)(w.First()) {
			t.Error("told in between")
		}
	})
}

// However many services are watched, Consul is asked once, and each hears of its own only.
func TestSplitsAskedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		w := discoverytest.WatchSplits(t, f.reg, "cart")
		w.Until("there is nothing", isSplit(0))
		for _, name := range []string{"catalog", "currency", ""} {
			discoverytest.WatchSplits(t, f.reg, name).First()
		}
		synctest.Wait()
		if n := f.agent.count("GET kv/hanse/default"); n != 2 { // the first answer, and the wait for the next
			t.Errorf("%d requests, want 2", n)
		}
		if err := f.reg.SetSplit(t.Context(), splitOf("catalog", 5)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		setSplit(t, f.reg, 7)
		if !isSplit(7)(w.First()) {
			t.Error("told of another's")
		}
	})
}

// losing answers requests that write keys by means of write, and loses the answer, as often as that.
func (f *fixture) losing(times int, write func(w http.ResponseWriter, r *http.Request)) {
	f.before(func(w http.ResponseWriter, r *http.Request) bool {
		if times == 0 || r.Method == "GET" || !strings.HasPrefix(r.URL.Path, "/v1/kv/") {
			return false
		}
		times--
		write(w, r)
		panic(http.ErrAbortHandler)
	})
}

// Rules are set although answers are lost, whether they came after the write or before it, and while others set some.
func TestSetSplitFailures(t *testing.T) {
	fifty := `{"record":1,"service":"cart","shares":[{"version":"v1","percent":50},{"version":"v2","percent":50}]}`
	for _, c := range []struct {
		name  string
		write func(f *fixture, w http.ResponseWriter, r *http.Request)
		want  float64
		err   string
	}{
		{"not written", func(*fixture, http.ResponseWriter, *http.Request) {}, 7, ""},
		{"written", func(f *fixture, _ http.ResponseWriter, r *http.Request) { f.agent.key(new(discardWriter), r, cartKey) }, 7, ""},
		{"written over by another", func(f *fixture, _ http.ResponseWriter, r *http.Request) {
			f.agent.key(new(discardWriter), r, cartKey)
			f.agent.setKey(cartKey, fifty)
		}, 50, "somebody else"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				setSplit(t, f.reg, 5)
				f.losing(1, func(w http.ResponseWriter, r *http.Request) { c.write(f, w, r) })
				err := f.reg.SetSplit(t.Context(), cartSplit(7))
				if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, want %q", err, c.err)
				}
				discoverytest.WatchSplits(t, f.handle(), "cart").Until("it is as it should be", isSplit(c.want))
			})
		})
	}
}

// Who is slower than another writes over what that one wrote, and deletes what is there.
func TestSetSplitRace(t *testing.T) {
	for _, percent := range []float64{7, 0} {
		inBubble(t, func(t *testing.T, f *fixture) {
			setSplit(t, f.reg, 5)
			raced := false
			f.before(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != "GET" && !raced {
					raced = true
					f.agent.setKey(cartKey, "another's")
				}
				return false
			})
			setSplit(t, f.reg, percent)
			discoverytest.WatchSplits(t, f.reg, "cart").Until("it is set", isSplit(percent))
			if _, there := f.agent.keys.there[cartKey]; there == (percent == 0) || !raced {
				t.Errorf("the key is there: %v", there)
			}
		})
	}
}

// A write that arrives after its sender gave it up, and after others have written, changes nothing.
func TestSetSplitLate(t *testing.T) {
	for _, percent := range []float64{7, 0} {
		inBubble(t, func(t *testing.T, f *fixture) {
			setSplit(t, f.reg, 5)
			var late *http.Request
			f.losing(1, func(_ http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				late = httptest.NewRequest(r.Method, r.URL.String(), bytes.NewReader(body))
			})
			setSplit(t, f.reg, percent)
			f.before(nil)
			setSplit(t, f.handle(), 50)
			f.agent.key(new(discardWriter), late, cartKey)
			discoverytest.WatchSplits(t, f.reg, "cart").Until("the last word counts", isSplit(50))
		})
	}
}

// Each service's rules are its own, whichever are before them and whatever their names begin with.
func TestSplitsOfMany(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		names := []string{"ca", "cart", "cart-two", "catalog", "zoo"}
		want := make(map[string]float64)
		watchers := make(map[string]*discoverytest.Watcher[discovery.Split])
		for _, name := range names {
			watchers[name] = discoverytest.WatchSplits(t, f.reg, name)
			watchers[name].First()
		}
		all := discoverytest.WatchSplits(t, f.reg, "")
		for _, change := range []struct {
			service string
			percent float64
		}{{"cart-two", 1}, {"zoo", 2}, {"cart", 3}, {"ca", 4}, {"catalog", 5}, {"cart-two", 6}, {"cart", 0}, {"cart", 8}, {"ca", 0}} {
			if err := f.reg.SetSplit(t.Context(), splitOf(change.service, change.percent)); err != nil {
				t.Fatal(err)
			}
			want[change.service] = change.percent
			var list []string
			for _, name := range names {
				if want[name] != 0 {
					list = append(list, splitOf(name, want[name]).String())
				}
			}
			told := watchers[change.service].First()
			if gone := change.percent == 0; len(told) == 0 != gone || !gone && (len(told) != 1 || told[0].String() != splitOf(change.service, change.percent).String()) {
				t.Errorf("%s has %v %%, and is told %v", change.service, change.percent, told)
			}
			all.Until(fmt.Sprint("all are ", list), func(l []discovery.Split) bool {
				return slices.EqualFunc(l, list, func(s discovery.Split, text string) bool { return s.String() == text })
			})
		}
	})
}

// Whatever a tag is made of, its rules are its own.
func TestSplitsOfTags(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		tags := []string{"", "a", "a/b", "a%2Fb", "a/splits/cart", "a/splits/", ".", "..", "ä ö?#&", "a b"}
		for n, tag := range tags {
			reg := f.handle()
			reg.Tag = tag
			setSplit(t, reg, float64(n+1))
		}
		for n, tag := range tags {
			reg := f.handle()
			reg.Tag = tag
			for _, service := range []string{"cart", ""} {
				discoverytest.WatchSplits(t, reg, service).Until(fmt.Sprintf("of the tag %q", tag), isSplit(float64(n+1)))
			}
		}
		if f.log.String() != "" {
			t.Errorf("log:\n%s", f.log)
		}
	})
}

// Who may not set rules is told so at once; while Consul is away it is tried for 10 s.
func TestSetSplitRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.before(func(w http.ResponseWriter, r *http.Request) bool {
			http.Error(w, "Permission denied", http.StatusForbidden)
			return true
		})
		began := time.Now()
		if err := f.reg.SetSplit(t.Context(), cartSplit(5)); err == nil || !strings.Contains(err.Error(), "set Registry.Token") {
			t.Errorf("without a token: %v", err)
		}
		f.within(began, time.Second)
		f.before(nil)
		f.net.Cut()
		if err := f.reg.SetSplit(t.Context(), cartSplit(5)); err == nil {
			t.Error("while Consul is away: no error")
		}
		f.within(began, 12*time.Second)
		time.AfterFunc(3*time.Second, f.net.Mend)
		setSplit(t, f.reg, 5)
	})
}
