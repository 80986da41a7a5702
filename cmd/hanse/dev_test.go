package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/dashboard"
	"github.com/hanse-go/hanse/telemetry/collector"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The tests below run hanse dev on systems that they write, as a user would: in child processes, with a build of their own.

// TestDevSession is a working day with one system: each part goes on from where the last one ended.
func TestDevSession(t *testing.T) {
	p := newMachine(t)
	dir := p.system("shop.txtar")
	d := p.dev(dir)
	part := func(name string, f func()) {
		if !t.Failed() {
			t.Log(name)
			f()
		}
	}

	part("start", func() {
		out := d.out.String()
		first, _, _ := strings.Cut(out, "\n")
		if !strings.HasPrefix(first, "hanse dev shop "+dir) {
			t.Errorf("first line: %q", first)
		}
		for _, want := range []string{"✓ found 1 program with services, 1 that only calls", "✓ built ./all ",
			"✓ ready in ", "hanse start client", "INF the cart is set up word=first"} {
			if !strings.Contains(out, want) {
				t.Errorf("not printed: %s", want)
			}
		}
		if d.one("cart").PID == d.one("catalog").PID {
			t.Error("two services share a process")
		}
		if got := d.get(d.url("cart") + "/cart"); !strings.HasPrefix(got, "first from ") {
			t.Errorf("page: %q", got)
		}
		text := d.must("ps")
		if !regexp.MustCompile(`^shop \S+\n\nSERVICE +INSTANCE +VERSION +STATE +PROCESS +LISTENS ON +SINCE\n` +
			`cart +[0-9a-f]{8} +dev-[0-9a-f]{8} +ready +\d+ +127\.0\.0\.1:\d+ +\d+s\ncatalog .+\n\nstopped: client\n$`).MatchString(text) {
			t.Errorf("ps:\n%s", text)
		}
		if text := d.must("ps", "catalog"); strings.Contains(text, "cart") || strings.Contains(text, "client") || !strings.Contains(text, "catalog") {
			t.Errorf("ps catalog:\n%s", text)
		}
		if text := d.must("ps", "client"); !strings.Contains(text, "stopped: client") {
			t.Errorf("ps client:\n%s", text)
		}
	})

	part("scale", func() {
		before := d.one("cart")
		if out := d.must("scale", "cart=3"); strings.Count(out, "is ready") != 2 {
			t.Errorf("scale: %s", out)
		}
		if rows := d.ps("cart"); len(rows) != 3 || slices.ContainsFunc(rows, func(r psRow) bool { return r.State != "ready" }) {
			t.Errorf("%+v", rows)
		}
		seen := make(map[string]bool)
		for range 6 {
			seen[d.get(d.url("cart")+"/cart")] = true
		}
		if len(seen) != 3 {
			t.Errorf("pages come from %v", seen)
		}
		d.must("scale", "cart=1")
		if got := d.one("cart"); got.PID != before.PID {
			t.Errorf("the first copy was not the one that stays: %+v", got)
		}
		for _, copy := range []string{"cart.2", "cart.3"} { // they keep their numbers to the last line
			if !regexp.MustCompile(`(?m)^` + copy + ` +│ \S+ INF stopped$`).MatchString(d.must("logs", "cart")) {
				t.Errorf("the end of %s is not told:\n%s", copy, d.must("logs", "cart"))
			}
		}
	})

	part("restart, losing no request", func() {
		before := d.one("cart")
		url := d.url("cart") + "/cart"
		stop := make(chan struct{})
		var load sync.WaitGroup
		var failed output
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if resp, err := http.Get(url); err != nil {
					fmt.Fprintln(&failed, err)
				} else if resp.Body.Close(); resp.StatusCode != http.StatusOK {
					fmt.Fprintln(&failed, resp.Status)
				}
			}
		})
		d.must("restart", "cart")
		close(stop)
		load.Wait()
		if failed.String() != "" {
			t.Error(failed.String())
		}
		if after := d.one("cart"); after.PID == before.PID {
			t.Error("the process is the same")
		}
	})

	part("completion", func() {
		for args, want := range map[string]string{
			"stop ":        "cart\ncatalog\nclient\n",
			"scale ":       "cart=\ncatalog=\nclient=\n",
			"logs ":        "cart\ncatalog\nclient\n",
			"ps ":          "cart\ncatalog\n",
			"ps --system ": "shop\n",
			"call ":        "cart/\ncatalog/\n",
		} {
			if out := d.must(append([]string{"__complete"}, strings.Split(args, " ")...)...); !strings.HasPrefix(out, want+":") {
				t.Errorf("hanse %s: %s", args, out)
			}
		}
	})

	part("stop and start", func() {
		catalog := d.one("catalog")
		watching := exec.Command(filepath.Join(p.bin, "hanse"), "ps", "--watch")
		watching.Dir, watching.Env = dir, p.env
		var seen output
		watching.Stdout = &seen
		if err := watching.Start(); err != nil {
			t.Fatal(err)
		}
		p.await("the watcher sees cart", func() bool { return strings.Contains(seen.String(), "\ncart ") })
		d.must("stop", "cart")
		p.await("the watcher sees it stopped", func() bool {
			return regexp.MustCompile(`SINCE\ncatalog .+\n\nstopped: cart, client\n`).MatchString(seen.String())
		})
		watching.Process.Signal(os.Interrupt)
		if err := watching.Wait(); err != nil {
			t.Errorf("ps --watch ended with %v", err)
		}
		if rows := d.ps("cart"); len(rows) != 0 {
			t.Errorf("after stop: %+v", rows)
		}
		if out := d.must("stop", "cart"); !strings.Contains(out, "cart does not run") {
			t.Error(out)
		}
		if page := d.get(d.url("cart") + "/cart"); !strings.Contains(page, "<code>hanse start cart</code>") {
			t.Errorf("the page of a stopped service: %s", page)
		}
		d.must("start", "cart")
		d.one("cart")
		if d.one("catalog").PID != catalog.PID {
			t.Error("the other service was touched")
		}
		if strings.Contains(d.out.String(), "building ./client") {
			t.Error("the client was built before it was wanted")
		}
		if said := d.must("start", "client"); !strings.Contains(said, "✓ built ./client in ") {
			t.Errorf("hanse start client: %s", said)
		}
		p.await("the client runs and ends", func() bool {
			return strings.Contains(d.must("logs", "client"), "the client has called") && strings.Contains(d.must("ps"), "stopped: client")
		})
	})

	part("mistakes", func() {
		for _, tt := range []struct {
			args   string
			status int
			want   string
		}{
			{"stop crat", 1, `hanse: there is no service "crat" in shop; did you mean cart?`},
			{"scale cart", 2, `hanse: scale: "cart" is not SERVICE=N; write hanse scale cart=3`},
			{"scale cart=1000", 1, `hanse: cart cannot have 1000 copies; give a number from 0 to 100`},
			{"restart", 2, `hanse: restart needs the name of a service`},
			{"restart client", 1, `hanse: client does not run; hanse start client`},
			{"logs crat", 1, `hanse: there is no service "crat" in shop; did you mean cart? The text would be '"crat"'`},
			{"ps --system shpo", 1, `hanse: no system "shpo" runs; did you mean shop?`},
			{"dev", 1, "hanse: the system shop runs already (hanse dev, process "},
		} {
			_, errs, status := d.hanse(dir, strings.Fields(tt.args)...)
			if status != tt.status || !strings.HasPrefix(errs, tt.want) {
				t.Errorf("hanse %s: status %d, %s", tt.args, status, errs)
			}
		}
	})

	part("reload", func() {
		cart, catalog := d.one("cart"), d.one("catalog")
		edit(t, filepath.Join(dir, "words", "words.go"), "first", "second")
		p.await("the new page", func() bool { return strings.HasPrefix(d.get(d.url("cart")+"/cart"), "second") })
		p.await("the old process ends", func() bool { return len(d.ps("cart")) == 1 })
		if d.one("cart").PID == cart.PID || d.one("catalog").PID != catalog.PID {
			t.Error("not the right process was replaced")
		}
		if v := d.one("cart").Version; v == cart.Version || d.one("catalog").Version != cart.Version {
			t.Errorf("the version was %s and is %s", cart.Version, v)
		}
		p.await("the reason is told", func() bool {
			out := d.out.String()
			return strings.Contains(out, "words/words.go changed: building ./all") &&
				strings.Contains(out, "words/words.go changed, it imports example.com/shop/words")
		})
	})

	part("a build that fails", func() {
		cart := d.one("cart")
		edit(t, filepath.Join(dir, "words", "words.go"), `"second"`, `second`)
		p.await("the compiler's error", func() bool {
			return strings.Contains(d.out.String(), "building ./all failed; what runs keeps running") &&
				strings.Contains(d.out.String(), "words/words.go:3:14: undefined: second")
		})
		if d.one("cart").PID != cart.PID {
			t.Error("the old process is gone")
		}
		p.await("ps shows it", func() bool { return strings.Contains(d.must("ps"), "✗ ./all does not build:") })
		// What runs is still what was built last: a restart must not need the broken code.
		d.must("restart", "cart")
		if got := d.get(d.url("cart") + "/cart"); !strings.HasPrefix(got, "second") {
			t.Errorf("page: %q", got)
		}
		edit(t, filepath.Join(dir, "words", "words.go"), `second`, `"third"`)
		p.await("the new page", func() bool { return strings.HasPrefix(d.get(d.url("cart")+"/cart"), "third") })
		p.await("no more errors", func() bool { return !strings.Contains(d.must("ps"), "does not build") })
	})

	part("a start that fails", func() {
		p.await("one process", func() bool { return len(d.ps("cart")) == 1 })
		cart := d.one("cart")
		edit(t, filepath.Join(dir, "cart", "cart.go"), `	s.Logger().Info("the cart`, "	if words.Cart != \"\" {\n		return fmt.Errorf(\"no cart today\")\n	}\n	s.Logger().Info(\"the cart")
		p.await("the failure is told", func() bool {
			return strings.Contains(d.out.String(), "ended before it was ready: exit status 1: service cart: set-up failed: no cart today; the old one keeps running")
		})
		if d.one("cart").PID != cart.PID {
			t.Error("the old process is gone")
		}
		edit(t, filepath.Join(dir, "cart", "cart.go"), "words.Cart != \"\"", "words.Cart == \"\"")
		p.await("the new process", func() bool { rows := d.ps("cart"); return len(rows) == 1 && rows[0].PID != cart.PID })
	})

	part("a crash", func() {
		cart := d.one("cart")
		http.Get(d.url("cart") + "/crash")
		p.await("it is told", func() bool {
			return strings.Contains(d.out.String(), fmt.Sprintf("cart (process %d) ended: exit status 3: the cart falls over; started again in", cart.PID)) &&
				strings.Contains(d.out.String(), "the cart falls over")
		})
		p.await("it runs again", func() bool {
			rows := d.ps("cart")
			return len(rows) == 1 && rows[0].State == "ready" && rows[0].PID != cart.PID
		})
	})

	part("a new service", func() {
		write(t, filepath.Join(dir, "mail", "main.go"), "package main\n\nimport \"github.com/hanse-go/hanse\"\n\nfunc main() { (&hanse.Service{Name: \"mail\"}).Main() }\n")
		p.await("it runs", func() bool { rows := d.ps("mail"); return len(rows) == 1 && rows[0].State == "ready" })
	})

	part("logs", func() {
		if out := d.must("logs", "-n", "1", "catalog"); strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "catalog") {
			t.Errorf("%q", out)
		}
		for _, args := range [][]string{{`service:cart "set up"`}, {"cart", `"THE CART" -nothing`}, {"--since", "24h", "/the cart is set up$/ level=info"}} {
			if out := d.must(append([]string{"logs"}, args...)...); !strings.Contains(out, "the cart is set up") || strings.Contains(out, "catalog") {
				t.Errorf("%q: %s", args, out)
			}
		}
		if out := d.must("logs", "the cart is set up -cart"); out != "" {
			t.Errorf("%q", out)
		}
		follow := exec.Command(filepath.Join(p.bin, "hanse"), "logs", "-f", "-n", "0", "cart", "--json")
		follow.Dir, follow.Env = dir, p.env
		var out output
		follow.Stdout = &out
		if err := follow.Start(); err != nil {
			t.Fatal(err)
		}
		n := 0
		p.await("a line of the new process", func() bool {
			if n++; n%25 == 1 { // the follower may not be connected at first
				d.must("restart", "cart")
			}
			return strings.Contains(out.String(), `"message":"the cart is set up"`)
		})
		follow.Process.Signal(os.Interrupt)
		if err := follow.Wait(); err != nil {
			t.Errorf("logs -f ended with %v", err)
		}
	})

	part("end", func() {
		var pids []int
		for _, r := range d.ps("") {
			pids = append(pids, r.PID)
		}
		url := d.url("cart")
		d.cmd.Process.Signal(os.Interrupt)
		<-d.exited
		if status := d.cmd.ProcessState.ExitCode(); status != 0 {
			t.Errorf("exit status %d", status)
		}
		if !strings.Contains(d.out.String(), fmt.Sprintf("✓ stopped %d processes\n", len(pids))) {
			t.Error("the end is not told")
		}
		for _, pid := range pids {
			p.gone(pid)
		}
		if _, errs, status := p.hanse(dir, "ps"); status != 1 || !strings.HasPrefix(errs, "hanse: nothing runs for this folder; ") {
			t.Errorf("ps: %d, %s", status, errs)
		}
		// The next run is at the same address.
		again := p.dev(dir, "--services", "cart")
		if again.url("cart") != url {
			t.Errorf("pages moved from %s to %s", url, again.url("cart"))
		}
		if rows := again.ps("catalog"); len(rows) != 0 {
			t.Errorf("%+v", rows)
		}
	})
}

func TestDevOne(t *testing.T) {
	p := newMachine(t)
	d := p.dev(p.system("shop.txtar"), "--one")
	if d.one("cart").PID != d.one("catalog").PID {
		t.Error("two processes")
	}
	if got := d.get(d.url("cart") + "/cart"); !strings.HasPrefix(got, "first from ") {
		t.Errorf("page: %q", got)
	}
	if out := d.must("scale", "catalog=3"); !strings.Contains(out, "catalog.2 (") || !strings.Contains(out, "catalog.3 (") {
		t.Error(out)
	}
	if n := len(d.ps("catalog")); n != 3 {
		t.Errorf("%d catalogs", n)
	}
	d.one("cart")
	d.must("scale", "catalog=1")
	d.one("catalog")
	_, errs, status := d.hanse(d.dir, "stop", "catalog")
	if status != 1 || errs != "hanse: catalog runs in one process with cart; hanse stop all stops them all\n" {
		t.Errorf("status %d, %s", status, errs)
	}
	before := d.one("cart").PID
	d.must("restart", "catalog")
	pid := d.one("cart").PID
	if pid == before {
		t.Error("not restarted")
	}

	// A service more in the code is one more in the process.
	edit(t, filepath.Join(d.dir, "all", "main.go"), "catalog.Service()", `catalog.Service(), &hanse.Service{Name: "mail"}`)
	p.await("the new service", func() bool {
		rows := d.ps("")
		return len(rows) == 3 && rows[2].Service == "mail" && rows[0].PID == rows[2].PID && rows[2].State == "ready"
	})
	pid = d.one("cart").PID

	// The first Ctrl-C waits for a request, the second does not.
	slow := make(chan struct{})
	go func() {
		defer close(slow)
		http.Get(d.url("cart") + "/slow") // cut off
	}()
	p.await("a request is under way", func() bool { return strings.Contains(d.out.String(), "a slow request begins") })
	began := time.Now()
	d.cmd.Process.Signal(os.Interrupt)
	p.await("it stops", func() bool { return strings.Contains(d.out.String(), "\nstopping 1 process; Ctrl-C again") })
	p.await("it ends", func() bool { // what follows the first at once counts as the same
		d.cmd.Process.Signal(os.Interrupt)
		select {
		case <-d.exited:
			return true
		default:
			return false
		}
	})
	<-slow
	p.gone(pid)
	if status := d.cmd.ProcessState.ExitCode(); status != 0 || time.Since(began) > 25*time.Second {
		t.Errorf("status %d after %v", status, time.Since(began))
	}
}

// When hanse dev is killed, everything that it started ends.
func TestDevKilled(t *testing.T) {
	p := newMachine(t)
	dir := p.system("mixed.txtar")
	d := p.dev(dir)
	var pids []int
	for _, r := range d.ps("") {
		pids = append(pids, r.PID)
	}
	if len(pids) != 3 {
		t.Fatalf("processes %v", pids)
	}
	d.cmd.Process.Kill()
	<-d.exited
	for _, pid := range pids {
		p.gone(pid)
	}
	if _, errs, _ := p.hanse(dir, "ps"); !strings.HasPrefix(errs, "hanse: nothing runs for this folder; ") {
		t.Error(errs)
	}
	d = p.dev(dir) // nothing is in the way of the next one
	d.one("greeter")
}

// A command in another language is announced, scaled and ended like a service.
func TestDevForeign(t *testing.T) {
	p := newMachine(t)
	d := p.dev(p.system("mixed.txtar"))
	rec := d.one("recommendation")
	if got := d.get(d.url("recommendation")); !strings.HasPrefix(got, "foreign ") || !strings.HasSuffix(got, `, certificate of spiffe://mixed/recommendation, lifeline ""`) {
		t.Errorf("page: %q", got)
	}
	yaml, err := os.ReadFile(filepath.Join(d.dir, "hanse.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	url := d.url("greeter")
	if !strings.Contains(string(yaml), strings.TrimPrefix(url, "http://127.0.0.1:")) || d.get(url) != "yaml" {
		t.Errorf("hanse.yaml's port and environment: %s, %q", url, d.get(url))
	}
	d.must("scale", "recommendation=2")
	if rows := d.ps("recommendation"); len(rows) != 2 || rows[0].Endpoints[0] == rows[1].Endpoints[0] {
		t.Errorf("%+v", rows)
	}
	d.must("scale", "recommendation=1")
	if d.one("recommendation").PID != rec.PID {
		t.Error("the first copy was not the one that stays")
	}
	_, errs, status := d.hanse(d.dir, "scale", "fixed=2")
	if status != 1 || !strings.HasPrefix(errs, "hanse: 2 copies of fixed cannot serve its one port; leave port out of hanse.yaml") {
		t.Errorf("status %d, %s", status, errs)
	}
	before := d.one("fixed")
	d.must("restart", "fixed")
	if after := d.one("fixed"); after.PID == before.PID || after.Command == "" || after.Command != before.Command {
		t.Errorf("%+v became %+v", before, after)
	}
	// Watched files restart it.
	write(t, filepath.Join(d.dir, "rec", "model.txt"), "better")
	p.await("a new process", func() bool {
		rows := d.ps("recommendation")
		return len(rows) == 1 && rows[0].PID != rec.PID && rows[0].State == "ready"
	})
	// With its processes, those that it started end.
	pid := d.one("recommendation").PID
	d.must("stop", "recommendation")
	p.gone(pid)
}

// A service that hanse new adds to a running system runs without more ado, and hanse new says so.
func TestDevNew(t *testing.T) {
	p := newMachine(t)
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	base := t.TempDir()
	if _, errs, status := p.hanse(base, "new", "greeter", "--source", root); status != 0 {
		t.Fatal(errs)
	}
	d := p.dev(filepath.Join(base, "greeter"))
	d.one("greeter")
	out := d.must("new", "order-mail")
	if !strings.Contains(out, "hanse ps order-mail ") || !strings.Contains(out, "hanse dev, which runs greeter, builds and starts it now") {
		t.Error(out)
	}
	p.await("it runs", func() bool { rows := d.ps("order-mail"); return len(rows) == 1 && rows[0].State == "ready" })
	if out := d.must("call", "order-mail/Hello", "name=World"); !strings.Contains(out, "Hello, World!") {
		t.Error(out)
	}
	front := d.gateway()
	for _, contract := range []string{"Greeter", "OrderMail"} { // the gateway hears of it by itself
		p.await(contract+" is called at the gateway", func() bool {
			return strings.Contains(d.post(front+"/rpc", `{"jsonrpc":"2.0","id":1,"method":"`+contract+`.Hello","params":{"name":"World"}}`), "Hello, World!")
		})
		for _, path := range []string{"/openapi.json", "/docs"} {
			if text := d.get(front + path); !strings.Contains(text, contract) && path == "/openapi.json" || len(text) < 1000 {
				t.Errorf("%s has no %s:\n%.500s", path, contract, text)
			}
		}
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: front + "/mcp", MaxRetries: -1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if list, err := session.ListTools(t.Context(), nil); err != nil || len(list.Tools) != 2 {
		t.Errorf("tools: %v, %v", list, err)
	}
	// What the gateway is: a member of the system, with a certificate.
	if out := d.must("logs", "greeter"); strings.Contains(out, "WRN") || strings.Contains(out, "ERR") {
		t.Error(out)
	}
	// With a hanse.yaml that names services, it is for the user to say.
	write(t, filepath.Join(d.dir, "hanse.yaml"), "processes:\n  - run: .\n    services: [greeter, order-mail]\n")
	if out := d.must("new", "stock"); !strings.Contains(out, "add it there: hanse dev, which runs greeter, starts what that file names") {
		t.Error(out)
	}
	edit(t, filepath.Join(d.dir, "hanse.yaml"), "order-mail", "order-mail, stock")
	p.await("it runs, too", func() bool { rows := d.ps("stock"); return len(rows) == 1 && rows[0].State == "ready" })
}

// The gateway stays where it was in the next run, is where --gateway says, or nowhere.
func TestDevGateway(t *testing.T) {
	p := newMachine(t)
	dir := p.system("greeter.txtar")
	d := p.dev(dir)
	at := d.gateway()
	if text := d.get(at + "/readyz"); text != "ok\n" {
		p.await("the gateway is ready", func() bool { return d.get(at+"/readyz") == "ok\n" })
	}
	d.interrupt()
	d = p.dev(dir)
	if again := d.gateway(); again != at {
		t.Errorf("the gateway was at %s, and is at %s", at, again)
	}
	_, errs, status := p.hanse(p.system("mixed.txtar"), "dev", "--gateway", strings.TrimPrefix(at, "http://"))
	if status != 1 || !strings.Contains(errs, "the gateway cannot listen: ") || !strings.Contains(errs, "--gateway off") {
		t.Errorf("at a port that is taken: status %d, %s", status, errs)
	}
	d.interrupt()
	d = p.dev(dir, "--gateway", "localhost:"+freePort(t))
	if d.get(d.gateway()+"/healthz") != "ok\n" {
		t.Error("it is not where it should be")
	}
	d.interrupt()
	d = p.dev(dir, "--gateway", "off")
	if strings.Contains(d.out.String(), "gateway:") {
		t.Errorf("there is a gateway:\n%s", d.out.String())
	}
}

// Changes of hanse.yaml count at once, for what they concern and for nothing else.
func TestDevManifest(t *testing.T) {
	p := newMachine(t)
	d := p.dev(p.system("mixed.txtar"))
	yaml := filepath.Join(d.dir, "hanse.yaml")
	rec, greeter, url := d.one("recommendation"), d.one("greeter"), d.url("greeter")

	edit(t, yaml, "WORD: yaml", "WORD: changed")
	p.await("the new environment", func() bool { return d.get(url) == "changed" })
	p.await("the old process ends", func() bool { return len(d.ps("greeter")) == 1 })
	if d.one("greeter").PID == greeter.PID || d.one("recommendation").PID != rec.PID {
		t.Error("not the right process was replaced")
	}
	p.await("the reason is told", func() bool {
		return regexp.MustCompile(`greeter +│ \S+ restarted in \S+: hanse.yaml changed`).MatchString(d.out.String())
	})

	greeter = d.one("greeter")
	edit(t, yaml, "  - name: recommendation", "    replicas: 2\n  - name: recommendation")
	p.await("a second copy", func() bool { return len(d.ps("greeter")) == 2 })
	edit(t, yaml, "    replicas: 2\n", "")
	p.await("one copy", func() bool { return len(d.ps("greeter")) == 1 })
	if d.one("greeter").PID != greeter.PID {
		t.Error("the first copy was replaced")
	}

	// A mistake changes nothing, whether in the file or in what it names.
	edit(t, yaml, "command: [foreign]", "comand: [foreign]")
	p.await("the mistake is told", func() bool { return strings.Contains(d.out.String(), `unknown key "comand"; did you mean command?`) })
	edit(t, yaml, "comand: [foreign]", "run: ./fixd")
	p.await("the folder is missed", func() bool {
		return strings.Contains(d.out.String(), "hanse.yaml changed: hanse.yaml: process fixed: there is no folder ./fixd; run takes the folder")
	})
	edit(t, yaml, "name: fixed\n    run: ./fixd", "name: fixed\n    command: [foreign]\n    services: [greeter]")
	p.await("two programs offer one service", func() bool {
		return strings.Contains(d.out.String(), "hanse.yaml changed: the service greeter is offered by two programs, ./greeter and the command fixed")
	})
	d.one("fixed")
	if d.one("greeter").PID != greeter.PID || d.one("recommendation").PID != rec.PID {
		t.Error("a mistake had consequences")
	}

	// Processes come and go. The wrong file before is forgotten.
	edit(t, yaml, "name: fixed\n    command: [foreign]\n    services: [greeter]", "name: more\n    command: [foreign]")
	p.await("the new process", func() bool { rows := d.ps("more"); return len(rows) == 1 && rows[0].State == "ready" })
	p.await("the old one is gone", func() bool { return len(d.ps("fixed")) == 0 })
	if out := d.must("stop", "more"); !strings.Contains(out, "has ended") {
		t.Error(out)
	}

	// Without the file, there is what is found without it.
	if err := os.Remove(yaml); err != nil {
		t.Fatal(err)
	}
	p.await("commands end", func() bool { return len(d.ps("recommendation")) == 0 })
	p.gone(rec.PID)
	p.await("no word", func() bool {
		resp, err := http.Get(lastPage(d.out.String(), url))
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return err == nil && resp.StatusCode == http.StatusOK && len(text) == 0
	})
}

// lastPage returns where hanse dev said that pages are now, or url when it did not.
func lastPage(out, url string) string {
	if i := strings.LastIndex(out, "its pages are at "); i >= 0 {
		url, _, _ = strings.Cut(out[i+len("its pages are at "):], " now")
	}
	return url
}

// A program that is started by hand joins the system of its folder, in ps and in the registry.
func TestDevJoin(t *testing.T) {
	p := newMachine(t)
	d := p.dev(p.system("shop.txtar"), "--services", "cart", "--replicas", "cart=2")
	if n := len(d.ps("cart")); n != 2 {
		t.Errorf("%d copies of cart", n)
	}
	lone := exec.Command("go", "run", "./all", "--services=catalog")
	lone.Dir, lone.Env = d.dir, p.env
	var out output
	lone.Stdout, lone.Stderr = &out, &out
	startGroup(t, lone, &out)
	p.await("it joins", func() bool { rows := d.ps("catalog"); return len(rows) == 1 && rows[0].State == "ready" })
	if !strings.HasPrefix(d.one("catalog").Endpoints[0], "unix:") && !strings.HasPrefix(d.one("catalog").Endpoints[0], "tcp:") {
		t.Errorf("%+v", d.one("catalog"))
	}
	// It is no process of hanse dev's.
	if out := d.must("stop", "catalog"); !strings.Contains(out, "catalog was started by hand") {
		t.Error(out)
	}
	d.one("catalog")
}

// A program that is started by hand tells what it does to the system that it joins: its part of a trace, its numbers and its lines.
func TestDevJoinTells(t *testing.T) {
	p := newMachine(t)
	d := p.dev(p.system("traces.txtar"), "--services", "back")
	lone := exec.Command("go", "run", ".", "--services=front")
	lone.Dir, lone.Env = d.dir, p.env
	var out output
	lone.Stdout, lone.Stderr = &out, &out
	startGroup(t, lone, &out)
	p.await("it joins", func() bool { rows := d.ps("front"); return len(rows) == 1 && rows[0].State == "ready" })
	instance := d.one("front").Instance
	if _, errs, status := p.hanse(d.dir, "call", "front/grpc.testing.TestService/UnaryCall"); status == 0 || !strings.Contains(errs, "the back has lost it") {
		t.Fatalf("status %d, %s", status, errs)
	}
	var traces []collector.TraceSummary
	p.await("a trace of both programs", func() bool {
		traces = read[[]collector.TraceSummary](d, "trace", "ls", "service:front", "method:UnaryCall")
		return len(traces) == 1 && traces[0].Spans == 5
	})
	whose := make(map[string]bool)
	for _, s := range read[shownTrace](d, "trace", "show", traces[0].TraceID).Spans {
		whose[s.Service] = true
		if (s.Instance == instance) != (s.Service == "front") {
			t.Errorf("%s of %s is told by %s", s.Name, s.Service, s.Instance)
		}
	}
	if len(whose) != 2 {
		t.Errorf("the trace is of %v", whose)
	}
	p.await("its line", func() bool {
		text := d.must("logs", "front", "--trace", traces[0].TraceID, "--json")
		return strings.Contains(text, "this will fail") && strings.Contains(text, instance)
	})
	p.await("its numbers", func() bool {
		got := read[dashboard.Top](d, "top", "front", "--window", "10m")
		return len(got.Services) == 1 && got.Services[0].Calls > 0 && got.Services[0].Memory != nil
	})
}

// Without hanse dev, ps lists what was started by hand in the folder.
func TestPsAlone(t *testing.T) {
	p := newMachine(t)
	dir := p.system("greeter.txtar")
	lone := exec.Command("go", "run", ".")
	lone.Dir, lone.Env = dir, p.env
	var out output
	lone.Stdout, lone.Stderr = &out, &out
	startGroup(t, lone, &out)
	p.await("ps lists it", func() bool {
		text, _, _ := p.hanse(dir, "ps")
		return strings.HasPrefix(text, "what runs for "+dir+"\n") && strings.Contains(text, "greeter") && strings.Contains(text, "ready")
	})
}

// startGroup starts a command, with what it starts in turn ended with the test.
func startGroup(t *testing.T, cmd *exec.Cmd, out *output) {
	t.Helper()
	inGroup(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		endGroup(cmd)
		cmd.Wait() // killed
		if t.Failed() {
			t.Logf("%s printed:\n%s", cmd, out.String())
		}
	})
}

// Two systems run side by side, and commands say which they mean.
func TestDevTwo(t *testing.T) {
	p := newMachine(t)
	one, two := p.system("greeter.txtar"), p.system("greeter.txtar")
	a, b := p.dev(one), p.dev(two)
	if a.one("greeter").PID == b.one("greeter").PID {
		t.Error("they share a process")
	}
	elsewhere := t.TempDir()
	_, errs, status := p.hanse(elsewhere, "ps")
	if status != 1 || !strings.HasPrefix(errs, "hanse: several systems run: greeter and greeter-2; say which with --system NAME") ||
		!strings.Contains(errs, one) || !strings.Contains(errs, two) {
		t.Errorf("status %d, %s", status, errs)
	}
	out, _, status := p.hanse(elsewhere, "ps", "--system", "greeter-2", "--json")
	if status != 0 || !strings.Contains(out, b.one("greeter").Instance) {
		t.Errorf("status %d, %s", status, out)
	}
	b.cmd.Process.Signal(os.Interrupt)
	<-b.exited
	out, _, status = p.hanse(elsewhere, "ps", "--json")
	if status != 0 || !strings.Contains(out, a.one("greeter").Instance) {
		t.Errorf("the only one is not found from elsewhere: status %d, %s", status, out)
	}
}

// A change while the system starts is not lost.
func TestDevEarlyChange(t *testing.T) {
	p := newMachine(t)
	dir := p.system("shop.txtar")
	d := p.launch(dir, "--services", "cart")
	p.await("the build is over", func() bool { return strings.Contains(d.out.String(), "✓ built ./all ") })
	edit(t, filepath.Join(dir, "words", "words.go"), "first", "second")
	d.awaitReady()
	p.await("the new page", func() bool { return strings.HasPrefix(d.get(d.url("cart")+"/cart"), "second") })
}

// A service that does not start is told with the reason, where the rest is and in other terminals, and starts when the code is right.
func TestDevFailingStart(t *testing.T) {
	p := newMachine(t)
	dir := p.system("shop.txtar")
	edit(t, filepath.Join(dir, "catalog", "catalog.go"), "	return nil", "	return errors.New(\"no shelves\")")
	edit(t, filepath.Join(dir, "catalog", "catalog.go"), `"context"`, "\"context\"\n\t\"errors\"")
	d := p.dev(dir)
	const reason = "exit status 1: service catalog: set-up failed: no shelves"
	if !regexp.MustCompile(`(?m)^✗ +catalog +`+reason+`$`).MatchString(d.out.String()) || !strings.Contains(d.out.String(), "! 1 of 2 processes ready after ") {
		t.Error("the table does not tell the reason")
	}
	if out := d.must("ps"); !regexp.MustCompile(`(?m)^catalog +dev-[0-9a-f]{8} +failed +` + reason).MatchString(out) {
		t.Errorf("ps:\n%s", out)
	}
	if _, errs, status := p.hanse(dir, "restart", "catalog"); status != 1 || !strings.Contains(errs, "it ended: "+reason) {
		t.Errorf("restart: status %d, %s", status, errs)
	}
	edit(t, filepath.Join(dir, "catalog", "catalog.go"), `errors.New("no shelves")`, "errors.Join()")
	p.await("it starts", func() bool { rows := d.ps("catalog"); return len(rows) == 1 && rows[0].State == "ready" })
}

// Two programs that offer the same service are refused, with the hanse.yaml that makes it right.
func TestDevDuplicates(t *testing.T) {
	p := newMachine(t)
	dir := p.system("twice.txtar")
	out, errs, status := p.hanse(dir, "dev")
	want := `hanse: the service cart is offered by two programs, ./all and ./cart; say in hanse.yaml which to take, for instance:

processes:
  - run: ./all
  - run: ./mail

`
	if status != 1 || errs != want {
		t.Fatalf("status %d\n%s\n%s\nwant\n%s", status, errs, out, want)
	}
	_, yaml, _ := strings.Cut(strings.TrimSpace(errs), "\n\n")
	write(t, filepath.Join(dir, "hanse.yaml"), yaml)
	d := p.dev(dir)
	d.one("cart")
	d.one("catalog")
	d.one("mail")
}

// What programs keep on the backplane of hanse dev is there in its next run. Nobody reads the token on a screen.
func TestDevBackplane(t *testing.T) {
	p := newMachine(t)
	dir := p.system("backplane.txtar")
	for run := range 2 {
		d := p.dev(dir)
		d.await("the event is stored", func() bool { return strings.Contains(d.out.String(), fmt.Sprintf("INF stored number=%d", run+1)) })
		if strings.Contains(d.out.String(), "@127.0.0.1") && !strings.Contains(d.out.String(), "…@127.0.0.1") {
			t.Error("the token is printed")
		}
		if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		<-d.exited
		if code := d.cmd.ProcessState.ExitCode(); code != 0 {
			t.Fatalf("exit status %d", code)
		}
	}
}
