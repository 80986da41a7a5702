//go:build unix

package e2e_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSplit runs each service as a process of its own. The parts leave the system as they found it.
func TestSplit(t *testing.T) {
	s := dev(t, "--certificate-life", certificateLife)
	t.Run("terminal", func(t *testing.T) { testTerminal(t, s) })
	t.Run("pages", func(t *testing.T) { testPages(t, s, "unix socket") })
	t.Run("identity", func(t *testing.T) { testIdentity(t, s) })
	t.Run("advice", func(t *testing.T) { testAdvice(t, s) })
	t.Run("missing", func(t *testing.T) { testMissing(t, s) })
	t.Run("crash", func(t *testing.T) { testCrash(t, s) })
	t.Run("scale", func(t *testing.T) { testScale(t, s) })
	t.Run("kill", func(t *testing.T) { testKill(t, s) })
	t.Run("placed", func(t *testing.T) { testPlaced(t, s) })
	t.Run("rolling", func(t *testing.T) { testRolling(t, s) })
	t.Run("drain", func(t *testing.T) { testDrain(t, s) })
	t.Run("loadgen", func(t *testing.T) { testLoadgen(t, s) })
	t.Run("reload", func(t *testing.T) { testReload(t, s) })
}

// TestOne runs all services in one process.
func TestOne(t *testing.T) {
	s := dev(t, "--one")
	pids := map[int]bool{}
	for _, i := range s.ps(t, "") {
		pids[i.PID] = true
	}
	if len(pids) != 1 {
		t.Errorf("the processes are %v", pids)
	}
	t.Run("terminal", func(t *testing.T) { testTerminal(t, s) })
	t.Run("pages", func(t *testing.T) { testPages(t, s, "in process") })
	t.Run("rolling", func(t *testing.T) {
		tr := begin(t)
		tr.flowing(s, uint64(rate()))
		before := s.ps(t, "cart")[0].PID
		s.hanse(t, "restart", "cart")
		if after := s.ready(t, "cart"); len(after) != 1 || after[0].PID == before {
			t.Errorf("after the restart of process %d: %+v", before, after)
		}
		tr.flowing(s, uint64(rate()))
		tr.end()
	})
}

// testTerminal types what the README says into a second terminal.
func testTerminal(t *testing.T, s *system) {
	out := s.hanse(t, "ps")
	if !regexp.MustCompile(`(?m)^shop \S+/examples/shop\n\nSERVICE +INSTANCE +VERSION +STATE +PROCESS +LISTENS ON +SINCE\n`).MatchString(out) {
		t.Errorf("ps:\n%s", out)
	}
	for _, name := range services {
		if !regexp.MustCompile(`(?m)^` + name + ` +[0-9a-f]{8} .*\bready +\d+ +127\.0\.0\.1:\d+ +\d+`).MatchString(out) {
			t.Errorf("ps has no %s that is ready:\n%s", name, out)
		}
	}
	if !strings.Contains(out, "stopped: loadgen") {
		t.Errorf("ps does not name loadgen:\n%s", out)
	}
	for _, i := range s.ps(t, "") {
		unix := slices.ContainsFunc(i.Endpoints, func(e string) bool { return strings.HasPrefix(e, "unix:///") })
		tcp := slices.ContainsFunc(i.Endpoints, func(e string) bool { return strings.HasPrefix(e, "tcp://127.0.0.1:") })
		if !slices.Contains(services, i.Service) || len(i.Instance) != 32 || i.State != "ready" || i.PID <= 0 || !unix || !tcp || time.Since(i.Started) > time.Hour {
			t.Errorf("ps --json: %+v", i)
		}
	}

	if out := s.hanse(t, "call", "catalog/ListProducts"); !strings.Contains(out, `"name": "East Frisian blend"`) || !strings.Contains(out, `"total": 64`) {
		t.Errorf("call catalog/ListProducts:\n%s", out)
	}

	if out := s.hanse(t, "scale", "catalog=3"); strings.Count(out, "is ready") != 2 {
		t.Errorf("scale catalog=3:\n%s", out)
	}
	if list := s.ready(t, "catalog"); len(list) != 3 {
		t.Errorf("after scale catalog=3: %+v", list)
	}
	s.hanse(t, "scale", "catalog=1")
	s.allReady(t)
}

// testPages opens every page and buys something.
func testPages(t *testing.T, s *system, path string) {
	v := visit(t, s.page(t))
	everyPage(t, v, path)
	order := buy(t, v)
	follow(t, v, order)
	letter(t, s, v, order)
	points(t, s, v, order)
	v.open(order.url.Path, "You have 20.")
	if p := v.get("/orders/nobody-has-this"); p.status != 404 {
		t.Errorf("an order that does not exist: status %d", p.status)
	}

	// Another one sees nothing of it.
	other := visit(t, s.page(t))
	if p := other.get(order.url.Path); p.status != 404 {
		t.Errorf("somebody else's order: status %d", p.status)
	}
	// In another currency.
	p := other.open("/").send("/settings", url.Values{"currency": {"SEK"}}).must("SEK")
	_ = p
}

// points waits until the order has its points, which come by an event.
func points(t *testing.T, s *system, v *visitor, order *page) {
	s.await(t, "the points are there", func() bool {
		return strings.Contains(v.open(order.url.Path).text(), "20 points for this order")
	})
}

// testMissing stops what the shop can do without, one after the other: pages say what is missing, and a purchase goes through.
func testMissing(t *testing.T, s *system) {
	for _, tt := range []struct {
		service string
		says    map[string]string // by path
	}{
		{"recommendation", map[string]string{
			"/":                            "Our recommendations are not to be had at the moment",
			"/products/east-frisian-blend": "Our recommendations are not to be had at the moment",
		}},
		{"currency", map[string]string{"/": "Other currencies are not to be had at the moment"}},
		{"stock", map[string]string{"/products/east-frisian-blend": "How many there are cannot be said at the moment"}},
		{"loyalty", nil},
		{"email", nil},
		{"shipping", map[string]string{"/products/east-frisian-blend": "What delivery costs cannot be said at the moment"}},
	} {
		t.Run(tt.service, func(t *testing.T) {
			s.hanse(t, "stop", tt.service)
			v := visit(t, s.page(t))
			for path, says := range tt.says {
				v.open(path, says, "East Frisian blend")
			}
			order := buy(t, v)
			s.hanse(t, "start", tt.service)
			s.allReady(t)
			follow(t, v, order) // what waited for shipping goes on
			letter(t, s, v, order)
			points(t, s, v, order)
			for path, says := range tt.says {
				if p := v.open(path); strings.Contains(p.text(), says) {
					t.Errorf("%s runs again, and %s still says %q", tt.service, path, says)
				}
			}
		})
	}
}

// testCrash kills a service that the shop can do without.
func testCrash(t *testing.T, s *system) {
	pid := s.ps(t, "recommendation")[0].PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.await(t, "the crash is told", func() bool {
		return strings.Contains(s.out.String(), fmt.Sprintf("recommendation (process %d) ended: ", pid))
	})
	s.allReady(t)
	if got := s.ps(t, "recommendation")[0].PID; got == pid {
		t.Errorf("process %d runs again", pid)
	}
	visit(t, s.page(t)).open("/", "The house recommends")
}

// testScale goes from one catalog to three and back while visitors come.
func testScale(t *testing.T, s *system) {
	tr := begin(t)
	stock := callStock(t, int(rate()/4))
	tr.flowing(s, uint64(rate()))
	rounds := 0
	for ; rounds == 0 || full && time.Since(tr.began) < 60*time.Second; rounds++ {
		s.hanse(t, "scale", "catalog=3")
		tr.flowing(s, uint64(2*rate()))
		s.hanse(t, "scale", "catalog=1")
		tr.flowing(s, uint64(rate()))
	}
	t.Logf("catalog scaled 1→3→1 %d times", rounds)
	stock.end()
	tr.end()
	s.allReady(t)
}

// testKill kills one of three catalogs every two seconds while visitors come.
func testKill(t *testing.T, s *system) {
	kills := 3
	if full {
		kills = 30
	}
	s.hanse(t, "scale", "catalog=3")
	tr := begin(t)
	tr.flowing(s, uint64(rate()))
	every := time.NewTicker(2 * time.Second)
	defer every.Stop()
	last := 0
	late := 0
	for n := range kills {
		var victim instance
		began := time.Now()
		s.await(t, "three catalogs run", func() bool {
			// The one that has run longest: each gets its turn.
			list := s.ready(t, "catalog")
			if len(list) != 3 {
				return false
			}
			victim = slices.MinFunc(list, func(a, b instance) int { return a.Started.Compare(b.Started) })
			return victim.PID != last && lives(victim.PID)
		})
		if time.Since(began) > 2*time.Second {
			late++
		}
		if n%2 == 1 { // frozen for a moment, so that it surely dies with calls in its hands
			if err := syscall.Kill(victim.PID, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			<-time.After(200 * time.Millisecond)
		}
		if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		last = victim.PID
		<-every.C
	}
	t.Logf("%d catalogs killed, %d of them later than 2 s after the one before", kills, late)
	tr.flowing(s, uint64(rate()))
	if r := tr.end(); r.FailedSafe() > 0 || full && r.Retried == 0 {
		t.Errorf("%d failed calls of methods marked as safe, %d retried", r.FailedSafe(), r.Retried)
	}
	s.await(t, "three catalogs run", func() bool { return len(s.ready(t, "catalog")) == 3 })
	s.hanse(t, "scale", "catalog=1")
	s.allReady(t)
}

// testRolling replaces every service, of which there is one instance each, while visitors come.
func testRolling(t *testing.T, s *system) {
	before := map[string]int{}
	for _, i := range s.ps(t, "") {
		before[i.Service] = i.PID
	}
	tr := begin(t)
	pages := read(t, s, 10)
	stock := callStock(t, int(rate()/4))
	tr.flowing(s, uint64(rate()))
	restarts := 0
	for round := 0; round == 0 || full && time.Since(tr.began) < 65*time.Second; round++ {
		for _, name := range services {
			s.hanse(t, "restart", name)
			restarts++
		}
	}
	tr.flowing(s, uint64(rate()))
	t.Logf("%d restarts", restarts)
	pages.end()
	stock.end()
	r := tr.end()
	if full && r.Sent < 200*60 {
		t.Errorf("only %d requests were sent", r.Sent)
	}
	s.allReady(t)
	for _, i := range s.ps(t, "") {
		if before[i.Service] == i.PID {
			t.Errorf("%s was not replaced", i.Service)
		}
	}
}

// testLoadgen starts the visitors that the shop brings along, and sends them home.
func testLoadgen(t *testing.T, s *system) {
	s.hanse(t, "start", "loadgen")
	s.await(t, "visitors come", func() bool {
		return regexp.MustCompile(`ok [1-9]\d* +errors 0 +retried 0`).MatchString(s.hanse(t, "logs", "loadgen"))
	})
	s.hanse(t, "stop", "loadgen")
	if out := s.hanse(t, "logs", "loadgen"); !strings.Contains(out, "shop.catalog.v1.Catalog/ListCategories") || !strings.Contains(out, "at 50 requests/s") {
		t.Errorf("loadgen leaves no table:\n%s", out)
	}
}

// testReload changes the catalog's code: rightly, wrongly, and so that it does not start.
func testReload(t *testing.T, s *system) {
	file := filepath.Join(shopDir(), "catalog", "goods_tea.go")
	original, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pids := func() map[string]int {
		m := map[string]int{}
		for _, i := range s.ps(t, "") {
			m[i.Service] = i.PID
		}
		return m
	}
	v := visit(t, s.page(t))
	shows := func(name string) bool { return strings.Contains(v.open("/products/east-frisian-blend").text(), name) }
	before := pids()

	edited := strings.Replace(string(original), `"East Frisian blend"`, `"East Frisian mixture"`, 1)
	write(edited)
	s.await(t, "the new name is shown", func() bool { return shows("East Frisian mixture") })
	s.allReady(t)
	for name, pid := range pids() {
		if changed := pid != before[name]; changed != (name == "catalog") {
			t.Errorf("%s: process %d before the change, %d after it", name, before[name], pid)
		}
	}
	s.await(t, "the reason is told", func() bool { return strings.Contains(s.out.String(), "catalog/goods_tea.go changed") })

	running := pids()
	write(strings.Replace(edited, `"East Frisian mixture"`, `EastFrisianMixture`, 1))
	s.await(t, "the compiler's error", func() bool {
		return strings.Contains(s.out.String(), "what runs keeps running") && strings.Contains(s.out.String(), "undefined: EastFrisianMixture")
	})
	if now := pids(); now["catalog"] != running["catalog"] || !shows("East Frisian mixture") {
		t.Errorf("the old catalog, process %d, did not stay: %d", running["catalog"], now["catalog"])
	}
	if out := s.hanse(t, "ps"); !strings.Contains(out, "does not build") {
		t.Errorf("ps does not tell of the broken build:\n%s", out)
	}

	write(string(original))
	s.await(t, "the old name is shown again", func() bool { return shows("East Frisian blend") })
	s.await(t, "the build is good again", func() bool { return !strings.Contains(s.hanse(t, "ps"), "does not build") })
	s.allReady(t)
}
