package eurekadiscovery_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/discovery/discoverytest"
	"github.com/hanse-go/hanse/discovery/eurekadiscovery"
)

// The tests of this file run in virtual time: minutes of leases take milliseconds.

type fixture struct {
	*testing.T
	server *eureka
	net    *discoverytest.Network
	http   *http.Client
	log    *discoverytest.Log
	reg    *eurekadiscovery.Registry
}

func inBubble(t *testing.T, test func(t *testing.T, f *fixture)) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{T: t, server: newEureka(), log: new(discoverytest.Log)}
		f.net, f.http = discoverytest.Serve(t, f.server)
		f.server.evict(t)
		f.reg = f.handle()
		defer f.net.Mend() // before leases are closed
		test(t, f)
	})
}

func (f *fixture) handle() *eurekadiscovery.Registry {
	return &eurekadiscovery.Registry{Client: f.http, Logger: f.log.Logger()}
}

func cart(id string) discovery.Instance {
	return discovery.Instance{Service: "cart", ID: id, State: discovery.Ready, Endpoints: []string{"tcp://10.0.0.1:8443"}}
}

// A process that dies renews nothing: Eureka drops it some time later, and its ID is free before.
func TestExpiredLease(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.server.put("cart", "c1", "10.0.0.9", 80, object{"hanse-record": `{"record":1,"service":"cart","instance":"c1","state":"ready"}`})
		f.server.apps["CART"]["c1"].duration = 30 * time.Second
		discoverytest.Register(t, f.reg, cart("c2"))
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("both are there", discoverytest.IDs("c1", "c2"))
		if _, err := f.reg.Register(t.Context(), cart("c1")); !errors.Is(err, discovery.ErrTaken) {
			t.Errorf("while it lives: %v, want ErrTaken", err)
		}
		time.Sleep(61 * time.Second)
		again, err := f.reg.Register(t.Context(), cart("c1"))
		if err != nil {
			t.Fatalf("the ID of a dead one: %v", err)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(65 * time.Second)
		w.Until("c1 is gone", discoverytest.IDs("c2"))
	})
}

// A server that was started again knows nobody: callers keep what they knew, and within a renewal all are announced again.
func TestRestart(t *testing.T) {
	for _, service := range []string{"cart", ""} {
		t.Run("service="+service, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				discoverytest.Register(t, f.reg, cart("c1"))
				f.server.put("cart", "dead", "10.0.0.9", 80, object{"hanse-record": `{"record":1,"service":"cart","instance":"dead","state":"ready"}`})
				w := discoverytest.Watch(t, f.reg, service)
				w.Until("both are there", discoverytest.IDs("c1", "dead"))
				f.server.restart()
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if n := f.server.live("CART"); n != 1 {
					t.Errorf("%d instances 10 s later, want 1", n)
				}
				if n := f.log.Count("announced again"); n != 1 {
					t.Errorf("the log says %d times that it was announced again:\n%s", n, f.log)
				}
				began := time.Now()
				time.Sleep(45 * time.Second)
				list := w.Until("who did not come back is gone, and c1 never was", func(l []discovery.Instance) bool { return !discoverytest.IDs("c1", "dead")(l) })
				if !discoverytest.IDs("c1")(list) {
					t.Errorf("told of %v", list)
				}
				if took := time.Since(began); took > time.Minute {
					t.Errorf("after %v", took)
				}
			})
		})
	}
}

func TestOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		discoverytest.Register(t, f.reg, cart("c1"))
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("c1 is there", discoverytest.IDs("c1"))
		for range 3 {
			f.net.Cut()
			time.Sleep(5 * time.Minute)
			f.server.restart()
			f.net.Mend()
			time.Sleep(3 * time.Second)
			if n := f.server.live("CART"); n != 1 {
				t.Errorf("%d instances are registered 3 s after Eureka is back, want 1", n)
			}
		}
		discoverytest.Register(t, f.handle(), cart("c2"))
		w.Until("c2 came, and c1 never went", func(l []discovery.Instance) bool {
			if !discoverytest.IDs("c1")(l) && !discoverytest.IDs("c1", "c2")(l) {
				t.Errorf("told in between: %v", l)
			}
			return discoverytest.IDs("c1", "c2")(l)
		})
		if warned, again := f.log.Count("cannot be watched"), f.log.Count("is watched again"); warned != 3 || again != 3 {
			t.Errorf("%d warnings and %d infos of 3 outages:\n%s", warned, again, f.log)
		}
	})
}

// Who is missing after an outage may have had no time yet to announce itself again.
func TestLossInAnOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		put := func(id string) {
			f.server.put("cart", id, "10.0.0.9", 80, object{"hanse-record": fmt.Sprintf(`{"record":1,"service":"cart","instance":%q,"state":"ready"}`, id)})
		}
		put("c1")
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("c1 is there", discoverytest.IDs("c1"))
		f.net.Cut()
		time.Sleep(10 * time.Second)
		f.server.restart()
		put("c2")
		f.net.Mend()
		back := time.Now()
		w.Until("c2 is there", func(l []discovery.Instance) bool { return !discoverytest.IDs("c1")(l) })
		time.Sleep(50 * time.Second)
		if list := w.Until("c1 is gone", discoverytest.IDs("c2")); time.Since(back) < 55*time.Second {
			t.Errorf("told of %v after %v, want the time of grace", list, time.Since(back))
		}
	})
}

// Who is missing after an outage, and could not announce itself again before the next one began, stays from the end of that for as long.
// Answers without instances do not keep it longer.
func TestOutagesThatFollowClosely(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		put := func(id string) {
			f.server.put("cart", id, "10.0.0.9", 80, object{"hanse-record": fmt.Sprintf(`{"record":1,"service":"cart","instance":%q,"state":"ready"}`, id)})
		}
		put("c1")
		put("dead")
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("both are there", discoverytest.IDs("c1", "dead"))
		for range 3 {
			f.net.Cut()
			time.Sleep(30 * time.Second)
			f.server.restart()
			f.net.Mend()
			time.Sleep(50 * time.Second)
		}
		put("c1")
		began := time.Now()
		list := w.Until("who did not come back is gone, and c1 never was", func(l []discovery.Instance) bool { return !discoverytest.IDs("c1", "dead")(l) })
		if took := time.Since(began); !discoverytest.IDs("c1")(list) || took > 20*time.Second {
			t.Errorf("told of %v after %v", list, took)
		}
	})
}

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

// Answers of Eureka are up to 30 s old by default; all comes in the end.
func TestCache(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.server.cacheFor = 30 * time.Second
		w := discoverytest.Watch(t, f.reg, "cart")
		w.First()
		lease := discoverytest.Register(t, f.reg, cart("c1"))
		time.Sleep(20 * time.Second)
		w.Until("c1 is there", discoverytest.IDs("c1"))
		draining := cart("c1")
		draining.State = discovery.Draining
		if err := lease.Update(t.Context(), draining); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		w.Until("c1 drains", func(l []discovery.Instance) bool { return len(l) == 1 && l[0].State == discovery.Draining })
		if err := lease.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		w.Until("c1 is gone at once, for it had said so", discoverytest.IDs())
	})
}

// A server that takes a request and never answers is given up, and its peer asked.
func TestSlowServer(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.reg.Servers = []string{"http://slow/eureka", "http://quick/eureka"}
		f.server.set(func() {
			f.server.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Host == "slow" {
					<-r.Context().Done()
					return true
				}
				return false
			}
		})
		began := time.Now()
		discoverytest.Register(t, f.reg, cart("c1"))
		discoverytest.Watch(t, f.reg, "cart").Until("c1 is there", discoverytest.IDs("c1"))
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("after %v: want the peer to be asked first once the other was slow", took)
		}
	})
}

// A server that fails is not asked again while its peer answers.
func TestPeers(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.reg.Servers = []string{"http://bad/eureka", "http://good/eureka"}
		bad := 0
		f.server.set(func() {
			f.server.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Host != "bad" {
					return false
				}
				bad++
				http.Error(w, "Internal Server Error", http.StatusInternalServerError)
				return true
			}
		})
		discoverytest.Register(t, f.reg, cart("c1"))
		discoverytest.Watch(t, f.reg, "cart").Until("c1 is there", discoverytest.IDs("c1"))
		time.Sleep(10 * time.Minute)
		if bad != 1 {
			t.Errorf("the bad one was asked %d times", bad)
		}
		if text := f.log.String(); text != "" {
			t.Errorf("logged:\n%s", text)
		}
	})
}

// How often a server is asked.
func TestRate(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		discoverytest.Register(t, f.reg, cart("c1"))
		discoverytest.Watch(t, f.reg, "cart").First()
		time.Sleep(10 * time.Minute)
		if n := f.server.count("GET apps"); n < 115 || n > 145 {
			t.Errorf("%d questions in 10 minutes, want one in 5 s", n)
		}
		if n := f.server.count("PUT apps"); n < 58 || n > 72 {
			t.Errorf("%d renewals in 10 minutes, want one in 10 s", n)
		}
		if n := f.server.count("POST apps"); n != 1 {
			t.Errorf("%d registrations", n)
		}
	})
}

// A change that Eureka did not take is sent again.
func TestUpdateDuringOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		lease := discoverytest.Register(t, f.reg, cart("c1"))
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("c1 is there", discoverytest.IDs("c1"))
		f.net.Cut()
		draining := cart("c1")
		draining.State = discovery.Draining
		if err := lease.Update(t.Context(), draining); err == nil || !strings.Contains(err.Error(), "is there a Eureka server?") {
			t.Errorf("Update: %v, want an error that says what to look at", err)
		}
		f.net.Mend()
		w.Until("it drains", func(l []discovery.Instance) bool { return len(l) == 1 && l[0].State == discovery.Draining })
	})
}

// What Eureka's other clients see, and what somebody does who takes an instance out of service.
func TestForOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		inst := cart("c1")
		inst.State, inst.Endpoints, inst.Zone = discovery.Starting, nil, "z1"
		lease := discoverytest.Register(t, f.reg, inst)
		look := func() string {
			var s string
			f.server.set(func() {
				i := f.server.apps["CART"]["c1"].info
				s = fmt.Sprintf("%s %s %s %v %s", i["status"], i["hostName"], i["ipAddr"], i["port"], i["metadata"].(object)["zone"])
			})
			return s
		}
		for _, c := range []struct {
			state     discovery.State
			endpoints []string
			want      string
		}{
			{discovery.Starting, nil, "STARTING unknown 0.0.0.0 map[$:0 @enabled:false] z1"},
			{discovery.Ready, []string{"unix:///run/x.sock", "tcp://10.0.0.7:8443"}, "UP 10.0.0.7 10.0.0.7 map[$:8443 @enabled:true] z1"},
			{discovery.Ready, []string{"tcp://cart.example.com:8443"}, "UP cart.example.com 0.0.0.0 map[$:8443 @enabled:true] z1"},
			{discovery.Draining, []string{"tcp://[fd00::1]:8443"}, "OUT_OF_SERVICE fd00::1 fd00::1 map[$:8443 @enabled:true] z1"},
			{discovery.Ready, []string{"tcp://10.0.0.7:8443"}, "UP 10.0.0.7 10.0.0.7 map[$:8443 @enabled:true] z1"},
		} {
			inst.State, inst.Endpoints = c.state, c.endpoints
			if err := lease.Update(t.Context(), inst); err != nil {
				t.Fatal(err)
			}
			if got := look(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		}
		w := discoverytest.Watch(t, f.reg, "cart")
		w.Until("it is ready", func(l []discovery.Instance) bool { return len(l) == 1 && l[0].State == discovery.Ready })
		f.server.set(func() { f.server.apps["CART"]["c1"].info["status"] = "OUT_OF_SERVICE" })
		w.Until("it is out of service", func(l []discovery.Instance) bool { return len(l) == 1 && l[0].State == discovery.Draining })
		f.server.set(func() { f.server.apps["CART"]["c1"].info["status"] = "DOWN" })
		w.Until("it is down", discoverytest.IDs())
	})
}

// Instances that Hanse did not announce.
func TestOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.server.put("cart", "a", "10.0.0.1", 8080, object{"gRPC_port": "9090", "zone": "z1", "version": "v2", "@class": "java.util.Collections$EmptyMap"})
		f.server.put("cart", "b", "10.0.0.2", 8080, object{"gRPC.port": "9091"})
		f.server.put("cart", "c", "", 8082, nil)
		f.server.put("cart", "d", "10.0.0.4", 0, nil)
		f.server.put("cart", "newer", "10.0.0.5", 80, object{"hanse-record": `{"record":99}`})
		f.server.put("cart", "wrong", "10.0.0.6", 80, object{"hanse-record": `{"record":1,"service":"other","instance":"wrong"}`})
		f.server.put("cart", "starting", "10.0.0.7", 80, nil)
		f.server.put("Bad_Name", "e", "10.0.0.8", 80, nil)
		f.server.set(func() {
			f.server.apps["CART"]["starting"].info["status"] = "STARTING"
			f.server.apps["CART"]["c"].info["securePort"] = object{"$": "8443", "@enabled": true}
			f.server.apps["CART"]["c"].info["port"] = object{"$": "8082", "@enabled": false}
		})
		for _, service := range []string{"cart", ""} {
			list := discoverytest.Watch(t, f.reg, service).First()
			var got []string
			for _, i := range list {
				got = append(got, fmt.Sprintf("%s %s %s%s", i.State, strings.TrimPrefix(i.Endpoints[0], "tcp://"), i.Zone, i.Version))
			}
			slices.Sort(got)
			if s := strings.Join(got, "; "); s != "ready 10.0.0.1:9090 z1v2; ready 10.0.0.2:9091 ; ready host.example.com:8443 ; starting 10.0.0.7:80 " {
				t.Errorf("%q: got %s", service, s)
			}
		}
		time.Sleep(time.Minute)
		for _, id := range []string{"id=d", "id=newer", "id=wrong"} {
			if n := f.log.Count(id); n != 2 { // by each of the watches
				t.Errorf("%d lines with %s:\n%s", n, id, f.log)
			}
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
		{"away", func(f *fixture) { f.net.Cut() }, []string{"http://127.0.0.1:8761/eureka", "is there a Eureka server?"}},
		{"password", func(f *fixture) { f.server.password = "p" }, []string{"401", "http://USER:PASSWORD@HOST"}},
		{"forbidden", answer(403, ""), []string{"403", "CSRF"}},
		{"wrong base", func(f *fixture) { f.reg.Servers = []string{"http://h/other"} }, []string{"404 Not Found", "is that the base URL of a Eureka server?"}},
		{"long text", answer(500, strings.Repeat("ü", 9999)), []string{"500", "…"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, spring := range []bool{false, true} {
				inBubble(t, func(t *testing.T, f *fixture) {
					f.server.spring = spring
					c.set(f)
					_, err := f.reg.Register(t.Context(), cart("c1"))
					for _, text := range c.texts {
						if err == nil || !strings.Contains(err.Error(), text) || len(err.Error()) > 1000 {
							t.Errorf("%v: want an error that says %q", err, text)
						}
					}
					discoverytest.Watch(t, f.reg, "cart").First()
					for _, text := range c.texts {
						if f.log.Count(text) != 1 {
							t.Errorf("the log says %q %d times, want once:\n%s", text, f.log.Count(text), f.log)
						}
					}
				})
			}
		})
	}
	inBubble(t, func(t *testing.T, f *fixture) {
		f.server.password = "secret"
		f.reg.Servers = []string{"http://eureka:secret@h/eureka"}
		discoverytest.Register(t, f.reg, cart("c1"))
		discoverytest.Watch(t, f.reg, "cart").Until("c1 is there", discoverytest.IDs("c1"))
		f.net.Cut()
		time.Sleep(time.Minute)
		if f.log.Count("secret") > 0 || f.log.Count("cannot be watched") != 1 {
			t.Errorf("a password in the log, or nothing:\n%s", f.log)
		}
	})
	inBubble(t, func(t *testing.T, f *fixture) {
		f.server.noDelta = true
		if first := discoverytest.Watch(t, f.reg, "cart").First(); len(first) != 0 || f.log.String() != "" {
			t.Errorf("a server without deltas: %v\n%s", first, f.log)
		}
	})
	for _, body := range []string{"<applications/>", "{}", `{"application":7}`, `[]`} {
		inBubble(t, func(t *testing.T, f *fixture) {
			answer(200, body)(f)
			discoverytest.Watch(t, f.reg, "cart").First()
			if f.log.Count("malformed answer") != 1 {
				t.Errorf("%s:\n%s", body, f.log)
			}
		})
	}
}

func FuzzApps(f *testing.F) {
	f.Add([]byte(`{"application":{"name":"CART","instance":[{"instanceId":"c1","ipAddr":"10.0.0.1","status":"UP","port":{"$":80,"@enabled":"true"},"metadata":{"zone":"a"}}]}}`), true)
	f.Add([]byte(`{"application":{"name":"CART","instance":{"instanceId":"c1","status":"UP","metadata":{"hanse-record":"{\"record\":1,\"service\":\"cart\",\"instance\":\"c1\",\"state\":\"ready\"}"}}}}`), true)
	f.Add([]byte(`{"applications":{"application":[{"name":"CART","instance":null},{"name":"X","instance":[{"hostName":"h","status":"UP","securePort":{"$":"443","@enabled":true}},{}]}]}}`), false)
	f.Fuzz(func(t *testing.T, body []byte, one bool) {
		service := ""
		if one {
			service = "cart"
		}
		list, _, err := eurekadiscovery.ParseApps(body, service)
		if err != nil && len(list) > 0 {
			t.Error("instances and an error")
		}
		seen := make(map[string]bool)
		for _, inst := range list {
			if one && inst.Service != "cart" || !inst.Announced() && len(inst.Endpoints) != 1 || seen[inst.Service+inst.Key()] {
				t.Errorf("%+v", inst)
			}
			seen[inst.Service+inst.Key()] = true
		}
	})
}
