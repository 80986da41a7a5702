package hanse_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWrongUse holds that what the user got wrong is one clear line for each mistake, with status 2, and what failed status 1.
func TestWrongUse(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	addr := lis.Addr().String()
	for _, tt := range []struct {
		program string
		args    []string
		env     string
		status  int
		want    string // the last line
	}{
		{"shop", []string{"--services=catlog,cart"}, "", 2, `shop: no service "catlog" in this program: did you mean catalog?`},
		{"shop", nil, "HANSE_SERVICES=payment", 2, `shop: no service "payment" in this program: there are catalog, cart, checkout`},
		{"shop", []string{"--servces=cart"}, "", 2, `shop: flag provided but not defined: -servces, did you mean --services?; shop --help lists the flags`},
		{"shop", []string{"cart"}, "", 2, `shop: unexpected argument "cart": did you mean --services=cart?`},
		{"shop", []string{"now"}, "", 2, `shop: unexpected argument "now"; shop --help lists the flags`},
		{"shop", []string{"--addr=8443"}, "", 2, `shop: invalid value "8443" for flag -addr: "8443" is no HOST:PORT: write 127.0.0.1:8443, [::1]:8443 or :8443; shop --help lists the flags`},
		{"shop", nil, "HANSE_ADDR=8443", 2, `shop: HANSE_ADDR=8443: "8443" is no HOST:PORT: write 127.0.0.1:8443, [::1]:8443 or :8443`},
		{"shop", []string{"--backplane=http://secret@a"}, "", 2, `shop: --backplane (HANSE_BACKPLANE): want nats://HOST:PORT,… or tls://…, such as nats://127.0.0.1:4222?token-file=FILE`},
		{"shop", nil, "HANSE_BACKPLANE=nats://secret@a:b", 2, `shop: --backplane (HANSE_BACKPLANE): "a:b" is not HOST:PORT: want nats://HOST:PORT,… or tls://…, such as nats://127.0.0.1:4222?token-file=FILE`},
		{"shop", nil, "HANSE_LIFELINE=x", 2, `shop: HANSE_LIFELINE=x: want the number of an inherited pipe`},
		{"conflict", nil, "", 2, `conflict: the flag -addr is registered by this program, but Main has one of that name: rename the program's`},
		{"shop", []string{"--addr=crat=:0"}, "", 2, `shop: --addr crat=:0: no service "crat" in this program: did you mean cart?`},
		{"shop", []string{"--registry=lokal:"}, "", 1, `shop: discovery: registry "lokal:": unknown scheme "lokal", did you mean local:? (known are backplane, dns, local, memory, static)`},
		{"shop", []string{"--set=cart.x=1"}, "", 1, `shop: flag cart.x: there is no such setting: it has none`},
		{"failing", nil, "", 1, "failing: service db: set-up failed: no database at 127.0.0.1:5432"},
		{"twins", nil, "", 1, `twins: two services are named "cart": rename one of them`},
		{"greeter", []string{"--addr", addr}, "", 1, fmt.Sprintf("greeter: address %s is in use by process %d (", addr, os.Getpid())},
		{"greeter", nil, "KUBERNETES_SERVICE_HOST=10.0.0.1", 1, `  - {name: HANSE_REGISTRY, value: "memory:"}`},
		{"caller", nil, "KUBERNETES_SERVICE_HOST=10.0.0.1", 1, `  - {name: HANSE_REGISTRY, value: "memory:"}`},
	} {
		t.Run(tt.want, func(t *testing.T) {
			var env []string
			if tt.env != "" {
				env = append(env, tt.env)
			}
			p := start(t, tt.program, tt.args, env...)
			if status := p.exit(); status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			lines := strings.Split(p.errors(), "\n")
			if last := lines[len(lines)-1]; !strings.HasPrefix(last, tt.want) {
				t.Errorf("last line\n%s\nwant\n%s", last, tt.want)
			}
			if p.stdout.Len() > 0 {
				t.Errorf("standard output: %s", &p.stdout)
			}
			if strings.Contains(p.errors(), "msg=stopped") {
				t.Errorf("a failure looks like an orderly end:\n%s", p.errors())
			}
		})
	}
}

// TestUnknownVariable holds that a mistyped variable is told, by programs with services and by those that only call.
func TestUnknownVariable(t *testing.T) {
	for _, program := range []string{"greeter", "waiting caller"} {
		p := start(t, program, nil, "HANSE_ADRR=127.0.0.1:0")
		if line := p.await("HANSE_ADRR"); !strings.Contains(line, "level=WARN") || !strings.Contains(line, "did you mean HANSE_ADDR?") {
			t.Errorf("%s: %s", program, line)
		}
	}
}

func TestList(t *testing.T) {
	p := start(t, "shop", []string{"--list-services"})
	if status := p.exit(); status != 0 || p.stdout.String() != "catalog\ncart\ncheckout\n" || p.errors() != "" {
		t.Errorf("status %d, %q, %q", status, &p.stdout, p.errors())
	}
	p = start(t, "shop", nil, "HANSE_LIST_SERVICES=json", "KUBERNETES_SERVICE_HOST=10.0.0.1")
	var list []struct {
		Name      string
		Contracts []string
	}
	if status := p.exit(); status != 0 || json.Unmarshal(p.stdout.Bytes(), &list) != nil || len(list) != 3 {
		t.Fatalf("status %d, %s", status, &p.stdout)
	}
	if got := fmt.Sprint(list); got != "[{catalog [grpc.testing.TestService]} {cart []} {checkout []}]" {
		t.Errorf("list %s", got)
	}
}

// TestListOfACaller holds that a program without services says so and does not run when it is asked for them.
func TestListOfACaller(t *testing.T) {
	for as, want := range map[string]string{"1": "", "json": "[]\n"} {
		p := start(t, "caller", nil, "HANSE_LIST_SERVICES="+as)
		if status := p.exit(); status != 0 || p.stdout.String() != want || p.errors() != "" {
			t.Errorf("%s: status %d, %q, %q", as, status, &p.stdout, p.errors())
		}
	}
}

func TestHelp(t *testing.T) {
	p := start(t, "with flags", []string{"--help"})
	if status := p.exit(); status != 0 {
		t.Errorf("status %d", status)
	}
	help := p.stdout.String()
	at := 0
	for _, want := range []string{
		"Usage: with flags [flags]\n\nServices: greeter\n",
		"\nWhat runs\n  --services NAME,…                  HANSE_SERVICES\n      run these services only (default all)\n",
		"\nWhere it listens\n  --addr [SERVICE=]HOST:PORT         HANSE_ADDR\n",
		"\nHow it finds others\n", "--registry URL", "--target SERVICE=TARGET", "--system NAME",
		"\nHow it behaves\n", "--set SERVICE.KEY=VALUE\n", "HANSE_DRAIN_TIMEOUT\n",
		"\nFlags of with flags\n  --greeting say\n      what to say (default Moin)\n",
	} {
		i := strings.Index(help[at:], want)
		if i < 0 {
			t.Errorf("the help has no %q after what comes before it", want)
			continue
		}
		at += i
	}
	for line := range strings.SplitSeq(help, "\n") {
		if n := len([]rune(line)); n > 100 {
			t.Errorf("line of %d letters: %s", n, line)
		}
	}
	if t.Failed() {
		t.Log(help)
	}
}

// TestFlagsAndEnvironment holds that flags win over the environment and that over fields, and that the program's own flags work.
func TestFlagsAndEnvironment(t *testing.T) {
	p := start(t, "with flags", []string{"--greeting=Hej", "--set=greeter.times=3", "--log-level=debug"},
		"HANSE_ADDR=127.0.0.1:0", "HANSE_LOG_LEVEL=error", "GREETER_TIMES=2", "HANSE_SYSTEM=test")
	if line := p.await(`"set up"`); field(line, "greeting") != "Hej" || field(line, "times") != "3" || field(line, "service") != "greeter" {
		t.Errorf("log: %s", line)
	}
	line := p.await("msg=ready")
	if addr := field(line, "addr"); !strings.HasPrefix(addr, "127.0.0.1:") || addr == "127.0.0.1:1" {
		t.Errorf("listens on %s", addr)
	}
	if addr := field(line, "admin"); !strings.HasPrefix(addr, "127.0.0.1:") {
		t.Errorf("admin on %s", addr)
	}
	if line := p.await("system chosen"); field(line, "system") != "test" || field(line, "registry") != "local:test" {
		t.Errorf("log: %s", line)
	}
	terminate(t, p)
	if status := p.exit(); status != 0 || p.stdout.String() != "main goes on\n" {
		t.Errorf("status %d, output %q", status, &p.stdout)
	}
}

// TestSomeServices holds that what was said of a service that runs elsewhere is left alone.
func TestSomeServices(t *testing.T) {
	p := start(t, "shop", []string{"--services", "cart,checkout", "--addr", "catalog=:1", "--addr", "cart=127.0.0.1:0", "--set=catalog.x=1"})
	line := p.await("msg=ready")
	if got := field(line, "services"); got != "cart,checkout" {
		t.Errorf("runs %s", got)
	}
	if shared, own := field(line, "addr"), field(line, "addr.cart"); shared == "" || own == "" || shared == own {
		t.Errorf("log: %s", line)
	}
}

func TestJSONLog(t *testing.T) {
	p := start(t, "failing", nil, "HANSE_LOG_FORMAT=json")
	p.exit()
	for line := range strings.SplitSeq(p.errors(), "\n") {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil || record["msg"] == "" {
			t.Errorf("no JSON: %s", line)
		}
	}
	p.await(`"msg":"service db: set-up failed: no database at 127.0.0.1:5432"`)

	// Durations and signals read as they do in text.
	p = start(t, "slow to stop", nil, "HANSE_LOG_FORMAT=json")
	var record struct{ Took string }
	if err := json.Unmarshal([]byte(p.await(`"msg":"ready"`)), &record); err != nil {
		t.Error(err)
	} else if _, err := time.ParseDuration(record.Took); err != nil {
		t.Error(err)
	}
	terminate(t, p)
	p.await("the task was told to end")
	insist(p)
	p.await(`"signal":"terminated"`)
}

// TestProgramsFindEachOther runs a server and a client that were told nothing.
func TestProgramsFindEachOther(t *testing.T) {
	server := start(t, "greeter", nil)
	server.await("msg=ready")
	caller := prepare(t, "caller", nil)
	caller.cmd.Env = append(caller.cmd.Env, "XDG_RUNTIME_DIR="+envOf(server, "XDG_RUNTIME_DIR"))
	caller.start()
	if status := caller.exit(); status != 0 || caller.stdout.String() != "Hello, Lübeck!\n" {
		t.Errorf("status %d, output %q", status, &caller.stdout)
	}
	caller.await("system chosen")
	terminate(t, server)
	if status := server.exit(); status != 0 {
		t.Errorf("status %d", status)
	}
	server.await("msg=stopped")
}

func TestSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signals")
	}
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(sig.String(), func(t *testing.T) {
			p := start(t, "greeter", nil)
			p.await("msg=ready")
			p.cmd.Process.Signal(sig)
			if status := p.exit(); status != 0 {
				t.Errorf("status %d", status)
			}
			p.await("signal: " + sig.String())
			p.await("msg=stopped")
		})
	}
	t.Run("told twice", func(t *testing.T) { // as by timeout(1)
		p := start(t, "greeter", nil)
		p.await("msg=ready")
		p.cmd.Process.Signal(syscall.SIGTERM)
		p.cmd.Process.Signal(os.Interrupt)
		if status := p.exit(); status != 0 {
			t.Errorf("status %d", status)
		}
		p.await("msg=stopped")
	})
	t.Run("the second ends at once", func(t *testing.T) {
		p := start(t, "slow to stop", nil)
		p.await("msg=ready")
		p.cmd.Process.Signal(syscall.SIGTERM)
		p.await("the task was told to end")
		began := time.Now()
		if status := insist(p); status != 1 {
			t.Errorf("status %d", status)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		p.await("second signal")
	})
}

func TestLifeline(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("os/exec hands no further files to programs on Windows")
	}
	for program, status := range map[string]int{"greeter": 0, "waiting caller": -1} { // the latter dies of SIGTERM
		t.Run(program, func(t *testing.T) {
			theirs, ours, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			p := prepare(t, program, nil, "HANSE_LIFELINE=3")
			p.cmd.ExtraFiles = []*os.File{theirs}
			p.start()
			theirs.Close()
			if program == "greeter" {
				p.await("msg=ready")
			} else {
				p.await("waiting")
			}
			ours.Close()
			if got := p.exit(); got != status {
				t.Errorf("status %d, want %d", got, status)
			}
			if program == "greeter" {
				p.await("the process that started this one has ended")
				p.await("msg=stopped")
			}
		})
	}
}

// terminate asks a program to stop.
func terminate(t *testing.T, p *program) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signals")
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
}

// insist asks a program that was asked before until it has ended, since what follows the first signal at once counts as the same.
func insist(p *program) (status int) {
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		every := time.NewTicker(50 * time.Millisecond)
		defer every.Stop()
		for {
			select {
			case <-every.C:
				p.cmd.Process.Signal(syscall.SIGTERM)
			case <-ended:
				return
			}
		}
	}()
	return p.exit()
}

func envOf(p *program, name string) string {
	for _, e := range p.cmd.Env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// TestAskForAWire holds what --wire and HANSE_WIRE do, in a program that has another wire in reserve and in one that has none.
func TestAskForAWire(t *testing.T) {
	for _, tt := range []struct {
		args []string
		env  string
		told bool
	}{
		{nil, "HANSE_WIRE=", false},
		{nil, "HANSE_WIRE=grpc-go", true},
		{[]string{"--wire=grpc-go"}, "HANSE_WIRE=hanse", true},
		{[]string{"--wire=hanse"}, "HANSE_WIRE=grpc-go", false},
	} {
		line := start(t, "grpc-go in reserve", tt.args, tt.env).await("msg=ready")
		if strings.Contains(line, "wire=grpc-go") != tt.told {
			t.Errorf("%v %s: %s", tt.args, tt.env, line)
		}
	}
	p := start(t, "greeter", []string{"--wire=grpc-go"})
	if status := p.exit(); status != 2 || !strings.Contains(p.errors(), "Wire: grpcwire.Wire{Standby: true}") {
		t.Errorf("status %d: %s", status, p.errors())
	}
	p = start(t, "caller", nil, "HANSE_WIRE=grpc-go") // App.Wire can be set after FromEnv, so a Conn is the first to know
	if p.exit(); !strings.Contains(p.errors(), "Wire: grpcwire.Wire{Standby: true}") || strings.Contains(p.stdout.String(), "Hello") {
		t.Errorf("%s%s", &p.stdout, p.errors())
	}
}
