package consuldiscovery_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/consuldiscovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
)

// The tests of this file run in virtual time: minutes of leases and waits take milliseconds.

// fixture is an agent, and a handle on it.
type fixture struct {
	*testing.T
	agent *agent
	net   *discoverytest.Network
	http  *http.Client
	log   *discoverytest.Log
	reg   *consuldiscovery.Registry
}

func inBubble(t *testing.T, test func(t *testing.T, f *fixture)) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{T: t, agent: newAgent(), log: new(discoverytest.Log)}
		t.Cleanup(f.agent.close)
		f.net, f.http = discoverytest.Serve(t, f.agent)
		f.reg = f.handle()
		defer f.net.Mend() // before leases are closed
		test(t, f)
	})
}

func (f *fixture) handle() *consuldiscovery.Registry {
	return &consuldiscovery.Registry{Client: f.http, Logger: f.log.Logger()}
}

// before sets what may answer requests.
func (f *fixture) before(h func(w http.ResponseWriter, r *http.Request) bool) {
	f.agent.mu.Lock()
	defer f.agent.mu.Unlock()
	f.agent.before = h
}

// within fails the test when more time than that has passed since the beginning.
func (f *fixture) within(since time.Time, limit time.Duration) {
	f.Helper()
	if took := time.Since(since); took > limit {
		f.Errorf("took %v, want at most %v", took, limit)
	}
}

func cart(id string) discovery.Instance {
	return discovery.Instance{Service: "cart", ID: id, State: discovery.Ready, Endpoints: []string{"tcp://10.0.0.1:8443"}}
}

// A process that dies renews nothing: nobody calls it after its TTL, and Consul forgets it some time later.
func TestExpiredLease(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		dead := f.handle()
		dead.Token = "of the dead"
		discoverytest.Register(t, dead, cart("c1"))
		discoverytest.Register(t, f.reg, cart("c2"))
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("both are there", discoverytest.IDs("c1", "c2"))
		f.before(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("X-Consul-Token") != dead.Token || r.Method != "PUT" || strings.Contains(r.URL.Path, "deregister") {
				return false
			}
			panic(http.ErrAbortHandler)
		})
		began := time.Now()
		w.Until("c1 is gone", discoverytest.IDs("c2"))
		f.within(began, 10*time.Second)
		time.Sleep(2 * time.Minute)
		if again, err := f.reg.Register(t.Context(), cart("c1")); err != nil {
			t.Errorf("the ID of a dead one: %v", err)
		} else if err := again.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A dead instance that Consul still keeps does not take its ID with it.
func TestIDOfADeadInstance(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.agent.put(`{"ID": "c1", "Name": "cart", "Check": {"TTL": "10s", "Status": "passing", "DeregisterCriticalServiceAfter": "1m"}}`)
		if _, err := f.reg.Register(t.Context(), cart("c1")); !errors.Is(err, discovery.ErrTaken) {
			t.Errorf("while it lives: %v, want ErrTaken", err)
		}
		time.Sleep(11 * time.Second)
		discoverytest.Register(t, f.reg, cart("c1"))
		discoverytest.Watch(t, f.reg, "cart").Until("c1 is there, and alive", discoverytest.IDs("c1"))
	})
}

// An agent that was started again without its data is told again.
func TestAgentRestart(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		discoverytest.Register(t, f.reg, cart("c1"))
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("c1 is there", discoverytest.IDs("c1"))
		f.agent.lose()
		began := time.Now()
		w.Until("it is lost", discoverytest.IDs())
		w.Until("it is there again", discoverytest.IDs("c1"))
		f.within(began, 3*time.Second)
		synctest.Wait()
		f.logged("announced again")
	})
}

// While the agent is away, callers keep what they knew, and all is well soon after it is back.
func TestOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		discoverytest.Register(t, f.reg, cart("c1"))
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("c1 is there", discoverytest.IDs("c1"))
		for _, loss := range []func(){f.agent.wipe, f.agent.lose, f.agent.wipe} { // the index goes back, or on
			f.net.Cut()
			time.Sleep(30 * time.Second)
			loss()
			f.net.Mend()
			time.Sleep(3 * time.Second)
			if n := f.agent.live("cart"); n != 1 {
				t.Errorf("%d instances are registered 3 s after the agent is back, want 1", n)
			}
		}
		discoverytest.Register(t, f.handle(), cart("c2"))
		for last := false; !last; { // all that was told since: never none
			list := w.Until("there is a snapshot", func(l []discovery.Instance) bool { return true })
			if last = discoverytest.IDs("c1", "c2")(list); !last && !discoverytest.IDs("c1")(list) {
				t.Errorf("told in between: %v", list)
			}
		}
		if n := f.log.Count("Consul cannot be watched"); n != 3 {
			t.Errorf("%d warnings of 3 outages:\n%s", n, f.log)
		}
		if n := f.log.Count("Consul is watched again"); n != 3 {
			t.Errorf("%d infos after 3 outages:\n%s", n, f.log)
		}
	})
}

// Who is missing after an outage, and could not announce itself again before the next one began, stays from the end of that for as long.
func TestOutagesThatFollowClosely(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		put := func(id string) {
			f.agent.put(fmt.Sprintf(`{"ID": %q, "Name": "cart", "Meta": {"hanse-record-0": "{\"record\":1,\"service\":\"cart\",\"instance\":\"%s\",\"state\":\"ready\"}"}}`, id, id))
		}
		put("c1")
		put("dead")
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("both are there", discoverytest.IDs("c1", "dead"))
		for range 3 {
			f.net.Cut()
			time.Sleep(30 * time.Second)
			f.agent.wipe()
			f.net.Mend()
			time.Sleep(50 * time.Second)
		}
		put("c1")
		began := time.Now()
		list := w.Until("who did not come back is gone, and c1 never was", func(l []discovery.Instance) bool { return !discoverytest.IDs("c1", "dead")(l) })
		if !discoverytest.IDs("c1")(list) {
			t.Errorf("told of %v", list)
		}
		f.within(began, 12*time.Second)
	})
}

// Consul whose servers lost all data, behind an agent that still answers: what comes back is known again at once, what does not come
// back stays for the time of grace, in which agents put their services back.
func TestWiped(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		discoverytest.Register(t, f.reg, cart("c1"))
		f.agent.put(`{"ID": "other", "Name": "cart", "Address": "10.0.0.9", "Port": 80}`)
		f.agent.put(`{"ID": "d1", "Name": "cart", "Meta": {"hanse-record-0": "{\"record\":1,\"service\":\"cart\",\"instance\":\"d1\",\"state\":\"draining\"}"}}`)
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("all are there", discoverytest.IDs("", "c1", "d1"))
		f.agent.wipe()
		discoverytest.Register(t, f.handle(), cart("c2"))
		time.Sleep(32 * time.Second) // until the query that waits for an index of before has ended
		seen := time.Now()
		w.Until("c2 came, and only who was leaving went", discoverytest.IDs("", "c1", "c2"))
		time.Sleep(50 * time.Second)
		w.Until("what did not come back is gone", discoverytest.IDs("c1", "c2"))
		if took := time.Since(seen); took < 58*time.Second || took > 65*time.Second {
			t.Errorf("gone after %v, want the time of grace", took)
		}
		f.logged("its index went back")
	})
}

// An index that goes back without a loss, as after a snapshot was restored, begins the queries anew.
func TestIndexGoesBack(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		discoverytest.Register(t, f.reg, cart("c1"))
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("c1 is there", discoverytest.IDs("c1"))
		synctest.Wait()
		f.agent.mu.Lock()
		f.agent.index, f.agent.serviceAt["cart"] = 4, 4
		f.agent.mu.Unlock()
		var anew atomic.Int32
		f.before(func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, "/v1/health/") && !r.URL.Query().Has("index") {
				anew.Add(1)
			}
			return false
		})
		time.Sleep(time.Minute) // the query that waited has seen the lower index
		if n := anew.Load(); n != 1 {
			t.Errorf("%d queries without an index, want one", n)
		}
		discoverytest.Register(t, f.reg, cart("c2"))
		began := time.Now()
		w.Until("c2 is there", discoverytest.IDs("c1", "c2"))
		f.within(began, time.Second)
	})
}

// Answers that come without news do not make a busy loop, whatever the index is.
func TestRate(t *testing.T) {
	for _, index := range []string{"", "0", "17", "x"} {
		t.Run("index="+index, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				var queries atomic.Int32
				f.before(func(w http.ResponseWriter, r *http.Request) bool {
					if n := queries.Add(1); n > 1 && r.URL.Query().Get("index") != cmp.Or(strings.Trim(index, "x0"), "1") {
						t.Errorf("query %d: %s", n, r.URL.RawQuery)
					}
					w.Header().Set("X-Consul-Index", index)
					fmt.Fprint(w, "[]")
					return true
				})
				w := discoverytest.Watch(t, f.reg, "cart")
				w.First()
				time.Sleep(time.Minute)
				if n := f.agent.count("GET health/service/cart"); n > 130 || n < 100 {
					t.Errorf("%d queries in a minute, want 2 a second", n)
				}
			})
		})
	}
}

// An answer that never comes is given up; a change that happened meanwhile is seen.
func TestSlowWatch(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		discoverytest.Register(t, f.reg, cart("c1"))
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("c1 is there", discoverytest.IDs("c1"))
		synctest.Wait()
		stalled := make(chan struct{})
		f.before(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("index") != "" {
				w.WriteHeader(http.StatusOK)
				_ = http.NewResponseController(w).Flush()
				close(stalled)
				<-r.Context().Done()
				f.agent.mu.Lock()
				f.agent.before = nil
				f.agent.mu.Unlock()
				return true
			}
			return false
		})
		<-stalled // when the query that waits has ended
		began := time.Now()
		discoverytest.Register(t, f.reg, cart("c2"))
		time.Sleep(30 * time.Second)
		w.Until("c2 is there", discoverytest.IDs("c1", "c2"))
		f.within(began, 45*time.Second)
	})
}

// A change that the agent did not take is sent again.
func TestUpdateDuringOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		lease := discoverytest.Register(t, f.reg, cart("c1"))
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("c1 is there", discoverytest.IDs("c1"))
		f.net.Cut()
		draining := cart("c1")
		draining.State = discovery.Draining
		if err := lease.Update(t.Context(), draining); err == nil || !strings.Contains(err.Error(), "is there a Consul agent?") {
			t.Errorf("Update: %v, want an error that says what to look at", err)
		}
		f.net.Mend()
		w.Until("it drains", func(l []discovery.Instance) bool { return len(l) == 1 && l[0].State == discovery.Draining })
	})
}

// A registration that goes half way is taken back.
func TestRegisterHalfWay(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.before(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/check/update/") {
				http.Error(w, "No cluster leader", http.StatusInternalServerError)
				return true
			}
			return false
		})
		if _, err := f.reg.Register(t.Context(), cart("c1")); err == nil || !strings.Contains(err.Error(), "No cluster leader") {
			t.Errorf("Register: %v", err)
		}
		if n := f.agent.live("cart"); n != 0 {
			t.Errorf("%d instances are left", n)
		}
		f.before(nil)
		discoverytest.Register(t, f.reg, cart("c1"))
	})
}

// A watcher that begins while the agent is away is told so, that is, of no instances.
func TestWatchBeginsInOutage(t *testing.T) {
	for _, service := range []string{"cart", ""} {
		t.Run("service="+service, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				f.net.Cut()
				w := discoverytest.Watch(t, f.reg, service)
				if first := w.First(); len(first) != 0 {
					t.Errorf("told of %v", first)
				}
				f.net.Mend()
				discoverytest.Register(t, f.reg, cart("c1"))
				w.Until("c1 is there", discoverytest.IDs("c1"))
			})
		})
	}
}

// What clients of Consul see that know nothing of Hanse.
func TestForOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.reg.Tag = "shop"
		inst := cart("c1")
		inst.State, inst.Weight = discovery.Starting, 7
		inst.Endpoints = []string{"unix:///run/c1.sock", "tcp://[::1]:8443", "tcp://10.0.0.1:8444"}
		lease := discoverytest.Register(t, f.reg, inst)
		look := func() string {
			f.agent.mu.Lock()
			defer f.agent.mu.Unlock()
			s := f.agent.services["c1"]
			return fmt.Sprintf("%s %d %v weight %d %s", s.Address, s.Port, s.Tags, s.Weights.Passing, s.checks["service:c1"].Status)
		}
		for _, c := range []struct {
			state discovery.State
			want  string
		}{
			{discovery.Starting, "::1 8443 [shop] weight 7 warning"},
			{discovery.Ready, "::1 8443 [shop] weight 7 passing"},
			{discovery.Draining, "::1 8443 [shop] weight 7 warning"},
		} {
			inst.State = c.state
			if err := lease.Update(t.Context(), inst); err != nil {
				t.Fatal(err)
			}
			if got := look(); got != c.want {
				t.Errorf("%s: %s, want %s", c.state, got, c.want)
			}
		}
	})
}

func TestTag(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		other := f.handle()
		f.reg.Tag, other.Tag = "shop", "other"
		discoverytest.Register(t, f.reg, cart("c1"))
		discoverytest.Register(t, other, cart("c2"))
		discoverytest.Register(t, other, discovery.Instance{Service: "catalog", ID: "c3", State: discovery.Ready})
		discoverytest.Watch(t, f.reg, "cart").Until("c1 alone is there", discoverytest.IDs("c1"))
		discoverytest.Watch(t, f.reg, "").Until("c1 alone is there", discoverytest.IDs("c1"))
		discoverytest.Watch(t, other, "").Until("c2 and c3 are there", discoverytest.IDs("c2", "c3"))
	})
}

// More services than connections take turns.
func TestManyServices(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		var want []string
		for n := range 150 {
			id := fmt.Sprintf("c%03d", n)
			want = append(want, id)
			discoverytest.Register(t, f.reg, discovery.Instance{Service: "s" + id, ID: id, State: discovery.Ready})
		}
		w := discoverytest.Watch(t, f.reg, "")
		w.Until("all are there", discoverytest.IDs(want...))
		discoverytest.Register(t, f.reg, discovery.Instance{Service: "sc149", ID: "more", State: discovery.Ready})
		began := time.Now()
		w.Until("one more is there", discoverytest.IDs(append(want, "more")...))
		f.within(began, 8*time.Second)
	})
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		set    func(f *fixture)
		texts  []string
		failed func(reg *consuldiscovery.Registry) error
	}{
		{"no token", func(f *fixture) { f.agent.token = "t" }, []string{"403", "Permission denied", "set Registry.Token"}, nil},
		{"wrong token", func(f *fixture) { f.agent.token, f.reg.Token = "t", "u" }, []string{"403", "service:write"}, nil},
		{"away", func(f *fixture) { f.net.Cut() }, []string{"http://127.0.0.1:8500", "is there a Consul agent?"}, nil},
		{"no URL", func(f *fixture) { f.reg.Address = "localhost:8500" }, []string{`"localhost:8500"`, "such as http://127.0.0.1:8500"}, nil},
		{"TTL", func(f *fixture) { f.reg.TTL = time.Millisecond }, []string{"TTL 1ms", "at least 1s"}, nil},
		{"DeregisterAfter", func(f *fixture) { f.reg.DeregisterAfter = time.Second }, []string{"no less than 1m0s"}, nil},
		{"HTTPS", func(f *fixture) {
			f.before(func(w http.ResponseWriter, r *http.Request) bool {
				http.Error(w, "Client sent an HTTP request to an HTTPS server.", http.StatusBadRequest)
				return true
			})
		}, []string{"write https://"}, nil},
		{"long text", func(f *fixture) {
			f.before(func(w http.ResponseWriter, r *http.Request) bool {
				http.Error(w, strings.Repeat("ü", 5000), http.StatusInternalServerError)
				return true
			})
		}, []string{"…"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				c.set(f)
				_, err := f.reg.Register(t.Context(), cart("c1"))
				for _, text := range c.texts {
					if err == nil || !strings.Contains(err.Error(), text) || len(err.Error()) > 1000 {
						t.Errorf("%v: want an error that says %q", err, text)
					}
				}
			})
		})
	}
	inBubble(t, func(t *testing.T, f *fixture) {
		f.reg.Datacenter = "mars"
		discoverytest.Watch(t, f.reg, "cart").First()
		f.logged("Registry.Datacenter names one that the agent does not know")
	})
	inBubble(t, func(t *testing.T, f *fixture) {
		inst := cart("c1")
		inst.Metadata = map[string]string{"big": strings.Repeat("x", 40<<10)}
		if _, err := f.reg.Register(t.Context(), inst); err == nil || !strings.Contains(err.Error(), "announce less metadata") {
			t.Errorf("a record that is too large: %v", err)
		}
		discoverytest.Register(t, f.reg, cart("c1")) // the ID is free
	})
}

// Services whose meta is not understood are left alone, and said once.
func TestIgnored(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.agent.put(`{"ID": "newer", "Name": "cart", "Address": "10.0.0.1", "Port": 1, "Meta": {"hanse-record-0": "{\"record\":99}"}}`)
		f.agent.put(`{"ID": "broken", "Name": "cart", "Address": "10.0.0.2", "Port": 1, "Meta": {"hanse-record-0": "{"}}`)
		f.agent.put(`{"ID": "portless", "Name": "cart", "Address": "10.0.0.3"}`)
		f.agent.put(`{"ID": "good", "Name": "cart", "Port": 80, "Meta": {"version": "v2"}, "Weights": {"Passing": 5, "Warning": 1}}`)
		w := discoverytest.Watch(t, f.reg, "cart")
		list := w.Until("one is there", func(l []discovery.Instance) bool { return len(l) == 1 })
		if i := list[0]; i.Announced() || i.Endpoints[0] != "tcp://127.0.0.1:80" || i.Version != "v2" || i.Weight != 5 || i.State != discovery.Ready {
			t.Errorf("got %+v", i)
		}
		discoverytest.Register(t, f.reg, cart("c1"))
		w.Until("c1 is there", discoverytest.IDs("", "c1"))
		for _, text := range []string{"id=newer", "id=broken", "id=portless"} {
			if n := f.log.Count(text); n != 1 {
				t.Errorf("%d lines with %s:\n%s", n, text, f.log)
			}
		}
	})
}

// Maintenance, which Consul shows as a critical check, is no death.
func TestMaintenance(t *testing.T) {
	for check, want := range map[string]discovery.State{
		"_node_maintenance":           discovery.Draining,
		"_service_maintenance:cart-1": discovery.Draining,
		"mine":                        "",
	} {
		body := fmt.Sprintf(`[{"Node": {"Address": "10.0.0.1"}, "Service": {"ID": "cart-1", "Port": 80}, "Checks": [{"CheckID": "serfHealth", "Status": "passing"}, {"CheckID": %q, "Status": "critical"}]}]`, check)
		list, _, err := consuldiscovery.ParseEntries([]byte(body), "cart")
		var got discovery.State
		for _, i := range list {
			got = i.State
		}
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", check, got, err, want)
		}
	}
}

// live returns how many services of the name are registered and not critical.
func (a *agent) live(name string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.services {
		if s.Service != name {
			continue
		}
		n++
		for _, c := range s.checks {
			if c.Status == "critical" {
				n--
			}
		}
	}
	return n
}

// logged fails the test when the log does not have the text once.
func (f *fixture) logged(text string) {
	f.Helper()
	if n := f.log.Count(text); n != 1 {
		f.Errorf("the log says %q %d times, want once:\n%s", text, n, f.log)
	}
}

func TestOpen(t *testing.T) {
	for url, want := range map[string]string{
		"consul:":                                  "consul://127.0.0.1:8500",
		"consul://10.0.0.1:8500":                   "consul://10.0.0.1:8500",
		"consul://10.0.0.1:8500/":                  "consul://10.0.0.1:8500",
		"consul:https://c.example.com:8501":        "consul:https://c.example.com:8501",
		"consul://h:1?dc=eu&tag=shop&ttl=5s":       "consul://h:1?dc=eu&tag=shop",
		"consul:https://c.example.com/below/there": "consul:https://c.example.com/below/there",
	} {
		reg, err := discovery.Parse(url, discovery.Schemes{"consul": consuldiscovery.Open})
		if err != nil || fmt.Sprint(reg) != want {
			t.Errorf("%s: %v, %v; want %s", url, reg, err, want)
		}
	}
	for url, want := range map[string]string{
		"consul:h:1":               "want consul://HOST:PORT",
		"consul:10.0.0.1:8500":     "consul",
		"consul:ftp://h:1":         "want the URL of a Consul agent",
		"consul://token@h:1":       "a token is a field",
		"consul://h:1?token=t":     "known are dc, tag, ttl",
		"consul://h:1?ttl=x":       "ttl",
		"consul://h:1?ttl=1ms":     "at least 1s",
		"consul://h:1#x":           "want consul://HOST:PORT",
		"consul:http://?ttl=10s":   "want the URL",
		"consul://[::1":            "consul",
		"consul://h:1?ttl=10s&x=y": `"x"`,
	} {
		if _, err := discovery.Parse(url, discovery.Schemes{"consul": consuldiscovery.Open}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", url, err, want)
		}
	}
}

// Fields that a newer version wrote survive being read and written.
func TestUnknownFields(t *testing.T) {
	meta := map[string]string{"hanse-record-0": `{"record":1,"service":"cart","instance":"c1","state":"ready",`, "hanse-record-1": `"colour":"grün"}`, "mine": "x"}
	inst, ok, err := consuldiscovery.ReadMeta(meta)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	again, err := consuldiscovery.WriteMeta(inst)
	if err != nil || !strings.Contains(again["hanse-record-0"], `"colour":"grün"`) {
		t.Errorf("%v, %v", again, err)
	}
}

func FuzzMeta(f *testing.F) {
	f.Add("colour", "grün", 1)
	f.Add("k", "\x00\"", 300)
	f.Fuzz(func(t *testing.T, key, value string, times int) {
		inst := cart("c1")
		inst.Metadata = map[string]string{strings.ToValidUTF8(key, "?"): strings.ToValidUTF8(strings.Repeat(value, min(max(times, 0), 100)), "?")}
		meta, err := consuldiscovery.WriteMeta(inst)
		if err != nil {
			return // too large
		}
		if len(meta) > 60 {
			t.Fatalf("%d pairs", len(meta))
		}
		wire, err := json.Marshal(meta)
		if err != nil {
			t.Fatal(err)
		}
		var back map[string]string
		if err := json.Unmarshal(wire, &back); err != nil {
			t.Fatal(err)
		}
		for k, v := range back {
			if !metaKey.MatchString(k) || len(v) > 512 {
				t.Fatalf("Consul refuses %q: %d bytes", k, len(v))
			}
		}
		got, ok, err := consuldiscovery.ReadMeta(back)
		if err != nil || !ok || fmt.Sprint(got.Metadata) != fmt.Sprint(inst.Metadata) {
			t.Fatalf("got %v, %v, %v", got, ok, err)
		}
	})
}

func FuzzEntries(f *testing.F) {
	f.Add([]byte(`[{"Node":{"Address":"10.0.0.1"},"Service":{"ID":"a","Service":"cart","Port":80,"Meta":{"a":"b"},"Weights":{"Passing":1}},"Checks":[{"CheckID":"serfHealth","Status":"passing"}]}]`))
	f.Add([]byte(`[{"Service":{"ID":"c1","Meta":{"hanse-record-0":"{\"record\":1,\"service\":\"cart\",\"instance\":\"c1\",\"state\":\"ready\"}"}}}]`))
	f.Add([]byte(`[{"Checks":[{"CheckID":"_node_maintenance","Status":"critical"}],"Service":{"Address":"::1","Port":1,"Locality":{"Zone":"z"}}},null]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		list, _, err := consuldiscovery.ParseEntries(body, "cart")
		if err != nil && len(list) > 0 {
			t.Error("instances and an error")
		}
		seen := make(map[string]bool)
		for _, inst := range list {
			if inst.Service != "cart" || !inst.Announced() && len(inst.Endpoints) != 1 || seen[inst.Key()] {
				t.Errorf("%+v", inst)
			}
			seen[inst.Key()] = true
			if _, err := inst.Record(); err != nil {
				t.Error(err)
			}
		}
	})
}
