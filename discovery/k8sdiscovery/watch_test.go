package k8sdiscovery_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/k8sdiscovery"
)

// The tests of this file run in virtual time: hours of watches take milliseconds.

type fixture struct {
	*testing.T
	server *apiServer
	net    *discoverytest.Network
	log    *discoverytest.Log
	reg    *k8sdiscovery.Registry
}

func inBubble(t *testing.T, test func(t *testing.T, f *fixture)) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{T: t, server: newAPIServer(), log: new(discoverytest.Log)}
		var client *http.Client
		f.net, client = discoverytest.Serve(t, f.server)
		f.reg = &k8sdiscovery.Registry{Server: "http://kubernetes", Namespace: "shop", Client: client, Logger: f.log.Logger()}
		test(t, f)
	})
}

// cart sets the pods of the service cart, all ready.
func (f *fixture) cart(addrs ...string) {
	var pods []endpointObject
	for _, a := range addrs {
		pods = append(pods, ready("pod-"+a, a))
	}
	f.server.put("cart", "cart-1", "IPv4", grpcPort(), pods...)
}

func is(want string) func([]discovery.Instance) bool {
	return func(l []discovery.Instance) bool { return short(l) == want }
}

func at(addrs ...string) func([]discovery.Instance) bool {
	var all []string
	for _, a := range addrs {
		all = append(all, "ready "+a+":8443")
	}
	return is(strings.Join(all, "; "))
}

func TestLifeOfAPod(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		w := discoverytest.Watch(t, f.reg, "cart")
		if first := w.First(); len(first) != 0 {
			t.Errorf("first %v", first)
		}
		for _, c := range []struct {
			pod  endpointObject
			want string
		}{
			{pod("a", false, false, false, "10.0.0.1"), "starting 10.0.0.1:8443"},
			{pod("a", true, true, false, "10.0.0.1"), "ready 10.0.0.1:8443"},
			{pod("a", false, true, true, "10.0.0.1"), "draining 10.0.0.1:8443"},
			{pod("a", false, false, true, "10.0.0.1"), ""},
		} {
			f.server.put("cart", "cart-1", "IPv4", grpcPort(), c.pod)
			w.Until("it is "+c.want, is(c.want))
		}
		f.server.put("cart", "cart-2", "IPv4", grpcPort(), ready("b", "10.0.0.2"))
		w.Until("b is there", at("10.0.0.2"))
		f.server.delete("cart-2")
		w.Until("its slice is gone", at())
		f.server.put("catalog", "catalog-1", "IPv4", grpcPort(), ready("c", "10.0.0.3"))
		f.cart("10.0.0.4")
		w.Until("and only cart's are told", at("10.0.0.4"))
	})
}

func TestAll(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.cart("10.0.0.1")
		f.server.put("Not_a_name", "x", "IPv4", grpcPort(), ready("x", "10.0.0.8"))
		f.server.put("several", "y", "IPv4", []object{{"name": "a", "port": 1}, {"name": "b", "port": 2}}, ready("y", "10.0.0.9"))
		w := discoverytest.Watch(t, f.reg, "")
		w.Until("cart is there", at("10.0.0.1"))
		f.server.put("catalog", "catalog-1", "IPv4", grpcPort(), ready("c", "10.0.0.3"))
		w.Until("both are there", at("10.0.0.1", "10.0.0.3"))
		if text := f.log.String(); text != "" {
			t.Errorf("services that nobody calls are nobody's business:\n%s", text)
		}
		discoverytest.Watch(t, f.reg, "several").First()
		if n := f.log.Count("set Registry.Port"); n != 1 {
			t.Errorf("%d warnings of a service whose port is not known:\n%s", n, f.log)
		}
	})
}

// Watches end all the time; a day of them is one list.
func TestWatchesEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.cart("10.0.0.1")
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("it is there", at("10.0.0.1"))
		for range 24 {
			time.Sleep(time.Hour)
			f.server.elsewhere()
		}
		f.cart("10.0.0.2")
		w.Until("the change is seen", at("10.0.0.2"))
		if lists, watches := f.server.count("list"), f.server.count("watch"); lists != 1 || watches < 24*6 || watches > 24*12+1 {
			t.Errorf("%d lists and %d watches in a day, want one and one each 5 to 10 minutes", lists, watches)
		}
		if text := f.log.String(); text != "" {
			t.Errorf("logged:\n%s", text)
		}
	})
}

// Bookmarks keep the version new: what the server forgets then is older.
func TestBookmarks(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.cart("10.0.0.1")
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("it is there", at("10.0.0.1"))
		for range 10 {
			f.server.elsewhere()
			time.Sleep(2 * time.Minute)
			f.server.forget()
		}
		time.Sleep(time.Hour)
		f.net.Cut()
		f.net.Mend()
		time.Sleep(time.Minute)
		if n := f.server.count("list"); n != 1 {
			t.Errorf("%d lists, want 1", n)
		}
		f.cart("10.0.0.2")
		w.Until("the change is seen", at("10.0.0.2"))
	})
}

// A version that the server has forgotten means to list again, whichever way the server says it.
func TestGone(t *testing.T) {
	for _, early := range []bool{false, true} {
		t.Run(fmt.Sprint("early=", early), func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				f.server.goneEarly, f.server.noMarks = early, true
				f.cart("10.0.0.1")
				f.server.set(func() { f.server.cached = f.server.version })
				w := discoverytest.Watch(t, f.reg, "cart")
				w.Until("it is there", at("10.0.0.1"))
				synctest.Wait()
				f.net.Cut()
				f.cart("10.0.0.2")
				f.server.forget()
				f.net.Mend()
				began := time.Now()
				w.Until("what happened meanwhile is seen, and not what the cache has", at("10.0.0.2"))
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("after %v", took)
				}
				if n := f.server.count("list"); n != 2 {
					t.Errorf("%d lists, want 2", n)
				}
				f.cart("10.0.0.3")
				w.Until("and it goes on", at("10.0.0.3"))
			})
		})
	}
}

// A list of many slices comes in pages, of one moment; when that is forgotten meanwhile, all begins anew.
func TestPages(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		w := discoverytest.Watch(t, f.reg, "")
		w.First()
		synctest.Wait()
		f.net.Cut()
		for n := range 1200 {
			f.server.put(fmt.Sprintf("s%04d", n), fmt.Sprintf("s%04d", n), "IPv4", grpcPort(), ready(fmt.Sprint(n), fmt.Sprintf("10.0.%d.%d", n/200, n%200+1)))
		}
		f.server.forget()
		once := false
		f.server.set(func() {
			f.server.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Get("continue") != "" && !once {
					once = true
					f.server.elsewhere()
					f.server.forget()
				}
				return false
			}
		})
		f.net.Mend()
		w.Until("all are there", func(l []discovery.Instance) bool {
			if len(l) != 0 && len(l) != 1200 {
				t.Errorf("told of %d", len(l))
			}
			return len(l) == 1200
		})
	})
}

func TestOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.cart("10.0.0.1")
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("it is there", at("10.0.0.1"))
		synctest.Wait()
		for n := range 3 {
			f.net.Cut()
			time.Sleep(5 * time.Minute)
			f.net.Mend()
			f.cart(fmt.Sprintf("10.0.0.%d", n+2))
			began := time.Now()
			w.Until("the next is there", at(fmt.Sprintf("10.0.0.%d", n+2)))
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("after %v", took)
			}
			synctest.Wait()
		}
		if warned, again := f.log.Count("cannot be watched"), f.log.Count("is watched again"); warned != 3 || again != 3 {
			t.Errorf("%d warnings and %d infos of 3 outages:\n%s", warned, again, f.log)
		}
	})
}

func TestWatchBeginsInOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.net.Cut()
		w := discoverytest.Watch(t, f.reg, "cart")
		if first := w.First(); len(first) != 0 {
			t.Errorf("told of %v", first)
		}
		f.cart("10.0.0.1")
		f.net.Mend()
		w.Until("it is there", at("10.0.0.1"))
	})
}

// A connection that is dead and does not say so is given up.
func TestSlowWatch(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.cart("10.0.0.1")
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("it is there", at("10.0.0.1"))
		synctest.Wait()
		f.server.set(func() {
			f.server.before = func(w http.ResponseWriter, r *http.Request) bool {
				w.WriteHeader(http.StatusOK)
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
				f.server.set(func() { f.server.before = nil })
				return true
			}
		})
		time.Sleep(15 * time.Minute) // the watch before has ended, and the dead one too
		f.cart("10.0.0.2")
		w.Until("the change is seen", at("10.0.0.2"))
	})
}

// A server that answers at once, with nothing, is not asked in a loop; one that says when to come again is asked then.
func TestRate(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.server.set(func() {
			f.server.before = func(w http.ResponseWriter, r *http.Request) bool { return r.URL.Query().Get("watch") != "" }
		})
		discoverytest.Watch(t, f.reg, "cart").First()
		time.Sleep(time.Minute)
		if n := f.server.count("watch"); n > 61 {
			t.Errorf("%d watches in a minute", n)
		}
	})
	inBubble(t, func(t *testing.T, f *fixture) {
		f.server.set(func() {
			f.server.before = func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Retry-After", "30")
				refuse(w, http.StatusTooManyRequests, "TooManyRequests", "too many requests")
				return true
			}
		})
		discoverytest.Watch(t, f.reg, "cart").First()
		time.Sleep(10 * time.Minute)
		if n := f.server.count("list"); n > 21 || n < 15 {
			t.Errorf("%d lists in 10 minutes, want one in 30 s", n)
		}
	})
}

// A service account that may list and not watch: what is listed does.
func TestListOnly(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.server.set(func() {
			f.server.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Get("watch") == "" {
					return false
				}
				refuse(w, http.StatusForbidden, "Forbidden", "cannot watch")
				return true
			}
		})
		f.cart("10.0.0.1")
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("it is there", at("10.0.0.1"))
		time.Sleep(10 * time.Minute)
		f.cart("10.0.0.2")
		w.Until("the change is seen", at("10.0.0.2"))
		if n := f.log.Count("\n"); n != 1 {
			t.Errorf("%d lines:\n%s", n, f.log)
		}
	})
}

func TestErrors(t *testing.T) {
	answer := func(code int, body string) func(f *fixture) {
		return func(f *fixture) {
			f.server.before = func(w http.ResponseWriter, r *http.Request) bool {
				w.WriteHeader(code)
				fmt.Fprint(w, body)
				return true
			}
		}
	}
	for _, c := range []struct {
		name  string
		set   func(f *fixture)
		texts []string
	}{
		{"no token", func(f *fixture) { f.server.token = "t" }, []string{"401", "set Registry.TokenFile"}},
		{"no such file", func(f *fixture) { f.reg.TokenFile = "/no/such/token" }, []string{"token of the service account", "/no/such/token"}},
		{"no token where all may come in", func(f *fixture) { f.reg.Namespace = "other" }, []string{"403", "no token was sent: set Registry.TokenFile"}},
		{"other namespace", func(f *fixture) { f.reg.Namespace = "other" }, []string{"403", "a Role with the verbs list and watch", "in the namespace other"}},
		{"old", answer(404, "404 page not found"), []string{"404 page not found", "Kubernetes 1.21 and newer"}},
		{"no API server", answer(200, "<html>"), []string{"malformed answer"}},
		{"no version", answer(200, "{}"), []string{"no resource version"}},
		{"long text", answer(500, strings.Repeat("ü", 9999)), []string{"500", "…"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				c.set(f)
				discoverytest.Watch(t, f.reg, "cart").First()
				for _, text := range c.texts {
					if n := f.log.Count(text); n != 1 || len(f.log.String()) > 1500 {
						t.Errorf("the log says %q %d times, want once:\n%s", text, n, f.log)
					}
				}
			})
		})
	}
}
