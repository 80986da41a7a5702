package eurekadiscovery_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// eureka is a server of Eureka as its documentation and its users' know it: applications in upper case, leases that last twice as long
// as they were asked for, an eviction now and then that does not run while too few renew, answers from a cache. A real one cannot be
// had in CI.
type eureka struct {
	cacheFor time.Duration // how old answers may be; the default of Eureka is 30 s
	legacy   bool          // write XML as JSON: no brackets around a list of one
	password string        // of the user eureka; empty: none
	spring   bool          // with Spring, 404 has a body
	noDelta  bool          // deltas are switched off
	// before, unless nil, may answer a request itself; it then returns true.
	before func(w http.ResponseWriter, r *http.Request) bool

	mu       sync.Mutex
	apps     map[string]map[string]*lease // by application and instance
	cache    map[string]cached            // by path
	requests map[string]int               // by method and first element below apps
	frozen   bool                         // self-preservation: nobody is evicted
}

type object = map[string]any

type lease struct {
	info     object
	dirty    int64
	duration time.Duration
	renewed  time.Time
}

// expired is what Eureka means by it: its renewals add the duration once too often, which became documented.
func (l *lease) expired() bool { return time.Since(l.renewed) > 2*l.duration }

type cached struct {
	at   time.Time
	code int
	body []byte
}

const base = "/eureka"

func newEureka() *eureka {
	return &eureka{apps: make(map[string]map[string]*lease), cache: make(map[string]cached), requests: make(map[string]int)}
}

// evict does what Eureka does each minute, until the test ends.
func (e *eureka) evict(t *testing.T) {
	ticker := time.NewTicker(time.Minute)
	done := make(chan struct{})
	t.Cleanup(func() { ticker.Stop(); close(done) })
	go func() {
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
			}
			e.mu.Lock()
			for name, app := range e.apps {
				maps.DeleteFunc(app, func(_ string, l *lease) bool { return !e.frozen && l.expired() })
				if len(app) == 0 {
					delete(e.apps, name)
				}
			}
			e.mu.Unlock()
		}
	}()
}

// restart is a server that was started again: it knows nobody.
func (e *eureka) restart() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.apps)
	clear(e.cache)
}

func (e *eureka) set(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f()
}

func (e *eureka) count(request string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.requests[request]
}

// live returns how many instances an application has.
func (e *eureka) live(app string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.apps[app])
}

func (e *eureka) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, base+"/"), "/")
	e.mu.Lock()
	e.requests[r.Method+" "+parts[0]]++
	before := e.before
	e.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	if user, password, _ := r.BasicAuth(); e.password != "" && (user != "eureka" || password != e.password) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Header.Get("Accept") != "application/json" && r.Method == "GET" {
		fmt.Fprint(w, "<applications/>")
		return
	}
	app, id := "", ""
	if len(parts) > 1 {
		app = strings.ToUpper(parts[1])
	}
	if len(parts) > 2 {
		id = parts[2]
	}
	if !strings.HasPrefix(r.URL.Path, base+"/") || len(parts) > 3 {
		e.notFound(w)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case parts[0] == "instances" && len(parts) == 2 && r.Method == "GET":
		for _, all := range e.apps {
			if l := all[parts[1]]; l != nil && (e.frozen || !l.expired()) {
				answer(w, object{"instance": l.info})
				return
			}
		}
		e.notFound(w)
	case parts[0] != "apps":
		e.notFound(w)
	case len(parts) <= 2 && r.Method == "GET":
		e.cached(w, app)
	case len(parts) == 2 && r.Method == "POST":
		e.register(w, r, app)
	case len(parts) == 3 && r.Method == "PUT":
		e.renew(w, r, app, id)
	case len(parts) == 3 && r.Method == "DELETE":
		if e.apps[app][id] == nil {
			e.notFound(w)
			return
		}
		delete(e.apps[app], id)
		if len(e.apps[app]) == 0 {
			delete(e.apps, app)
		}
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (e *eureka) notFound(w http.ResponseWriter) {
	w.WriteHeader(http.StatusNotFound)
	if e.spring {
		fmt.Fprint(w, `{"timestamp":"2026-11-23T01:00:00.000+00:00","status":404,"error":"Not Found"}`)
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (e *eureka) register(w http.ResponseWriter, r *http.Request, app string) {
	var in struct{ Instance object }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Instance == nil {
		http.Error(w, "Bad Request", http.StatusBadRequest)
		return
	}
	info := in.Instance
	text := func(name string) string { s, _ := info[name].(string); return s }
	for _, name := range []string{"instanceId", "hostName", "ipAddr", "app"} {
		if text(name) == "" {
			http.Error(w, "Missing "+name, http.StatusBadRequest)
			return
		}
	}
	if strings.ToUpper(text("app")) != app {
		http.Error(w, "Mismatched appName, expecting "+app+" but was "+text("app"), http.StatusBadRequest)
		return
	}
	center, _ := info["dataCenterInfo"].(object)
	if center["name"] == nil || center["@class"] == nil {
		http.Error(w, "Missing dataCenterInfo Name", http.StatusBadRequest)
		return
	}
	if !slices.Contains([]string{"UP", "DOWN", "STARTING", "OUT_OF_SERVICE", "UNKNOWN"}, text("status")) {
		http.Error(w, "Bad status", http.StatusBadRequest)
		return
	}
	l := &lease{info: info, duration: 90 * time.Second, renewed: time.Now()}
	if li, ok := info["leaseInfo"].(object); ok {
		seconds, _ := li["durationInSecs"].(float64)
		l.duration = time.Duration(seconds) * time.Second
	}
	l.dirty, _ = strconv.ParseInt(text("lastDirtyTimestamp"), 10, 64)
	info["app"] = app
	if e.apps[app] == nil {
		e.apps[app] = make(map[string]*lease)
	}
	if old := e.apps[app][text("instanceId")]; old != nil && old.dirty > l.dirty {
		l.info, l.dirty = old.info, old.dirty // the newer stays
	}
	e.apps[app][text("instanceId")] = l
	w.WriteHeader(http.StatusNoContent)
}

func (e *eureka) renew(w http.ResponseWriter, r *http.Request, app, id string) {
	l := e.apps[app][id]
	dirty, _ := strconv.ParseInt(r.URL.Query().Get("lastDirtyTimestamp"), 10, 64)
	if l == nil || dirty > l.dirty {
		e.notFound(w)
		return
	}
	l.renewed = time.Now()
}

// cached answers for an application or, if it is empty, for all.
func (e *eureka) cached(w http.ResponseWriter, app string) {
	if app == "DELTA" && e.noDelta {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	c, ok := e.cache[app]
	if !ok || time.Since(c.at) >= e.cacheFor {
		c = cached{at: time.Now(), code: 200}
		switch {
		case app == "" || app == "DELTA":
			hash := make(map[string]int)
			apps := []any{}
			for _, name := range slices.Sorted(maps.Keys(e.apps)) {
				for _, l := range e.apps[name] {
					hash[fmt.Sprint(l.info["status"])]++
				}
				apps = append(apps, e.application(name))
			}
			code := ""
			for _, s := range slices.Sorted(maps.Keys(hash)) {
				code += fmt.Sprintf("%s_%d_", s, hash[s])
			}
			c.body, _ = json.Marshal(object{"applications": object{"versions__delta": "1", "apps__hashcode": code, "application": e.list(apps)}})
		case e.apps[app] == nil:
			c.code = http.StatusNotFound
		default:
			c.body, _ = json.Marshal(object{"application": e.application(app)})
		}
		e.cache[app] = c
	}
	if c.code != 200 {
		e.notFound(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(c.body)
}

func (e *eureka) application(name string) object {
	instances := []any{}
	for _, id := range slices.Sorted(maps.Keys(e.apps[name])) {
		instances = append(instances, e.apps[name][id].info)
	}
	return object{"name": name, "instance": e.list(instances)}
}

func (e *eureka) list(all []any) any {
	if e.legacy && len(all) == 1 {
		return all[0]
	}
	return all
}

// put registers an instance as Spring's client does.
func (e *eureka) put(app, id, ip string, port int, metadata object) {
	e.mu.Lock()
	defer e.mu.Unlock()
	name := strings.ToUpper(app)
	if e.apps[name] == nil {
		e.apps[name] = make(map[string]*lease)
	}
	e.apps[name][id] = &lease{duration: time.Hour, renewed: time.Now(), info: object{
		"instanceId": id, "hostName": "host.example.com", "app": name, "ipAddr": ip, "status": "UP", "overriddenStatus": "UNKNOWN",
		"port": object{"$": port, "@enabled": "true"}, "securePort": object{"$": 443, "@enabled": "false"}, "countryId": 1,
		"dataCenterInfo": object{"@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn"},
		"leaseInfo":      object{"renewalIntervalInSecs": 30, "durationInSecs": 90, "registrationTimestamp": 1, "lastRenewalTimestamp": 1},
		"metadata":       metadata, "vipAddress": app, "secureVipAddress": app, "isCoordinatingDiscoveryServer": "false",
		"lastUpdatedTimestamp": "1", "lastDirtyTimestamp": "1", "actionType": "ADDED",
	}}
}
