package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/identity"
	"golang.org/x/tools/txtar"
)

// patience is how long something may take on a machine that is busy.
const patience = 90 * time.Second

// foreign is a server that knows nothing of Hanse, run by the command "foreign". With an argument it listens on that port, else on
// that of the variable PORT.
func foreign() {
	port := os.Getenv("PORT")
	if len(os.Args) > 1 {
		port = os.Args[1]
	}
	fmt.Println("the foreign server is process", os.Getpid())
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "foreign %d, certificate of %s, lifeline %q", os.Getpid(), ownCertificate(), os.Getenv("HANSE_LIFELINE"))
	})
	fmt.Println(http.ListenAndServe("127.0.0.1:"+port, nil))
	os.Exit(1)
}

// ownCertificate is whose certificate is in the files that a command is told.
func ownCertificate() string {
	files := &identity.Files{Cert: os.Getenv("HANSE_CERT_FILE"), Key: os.Getenv("HANSE_KEY_FILE"), CA: os.Getenv("HANSE_CA_FILE")}
	cert, err := files.Certificate("")
	if err != nil {
		return err.Error()
	}
	id, err := identity.CertificateID(cert.Leaf)
	if err != nil {
		return err.Error()
	}
	return id.String()
}

// machine stands for a computer of a test's own: a run-time folder, caches, and the commands.
type machine struct {
	t   *testing.T
	bin string
	env []string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs programs")
	}
	if runtime.GOOS == "windows" {
		t.Skip("ends processes with signals")
	}
	tmp, err := os.MkdirTemp("", "hd") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	goCache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &machine{t: t, bin: filepath.Join(tmp, "bin")}
	for _, dir := range []string{p.bin, filepath.Join(tmp, "run")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"hanse", "foreign", "served", "evented"} { // testscript.Main goes by the name
		if err := copyFile(filepath.Join(p.bin, name), self); err != nil {
			t.Fatal(err)
		}
	}
	p.env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "HANSE_") }),
		"XDG_RUNTIME_DIR="+filepath.Join(tmp, "run"), "XDG_CACHE_HOME="+filepath.Join(tmp, "cache"), "XDG_STATE_HOME="+filepath.Join(tmp, "state"), "GOCACHE="+strings.TrimSpace(string(goCache)),
		"PATH="+p.bin+string(filepath.ListSeparator)+os.Getenv("PATH"), "NO_COLOR=1")
	return p
}

func copyFile(to, from string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o700)
}

// system writes the files of an archive as a module that uses this checkout of Hanse, with free ports for PORT1 and PORT2, and
// returns its folder.
func (p *machine) system(archive string) string {
	p.t.Helper()
	ar, err := txtar.ParseFile(filepath.Join("testdata", "dev", archive))
	if err != nil {
		p.t.Fatal(err)
	}
	dir := filepath.Join(p.t.TempDir(), strings.TrimSuffix(archive, ".txtar"))
	ports := strings.NewReplacer("PORT1", freePort(p.t), "PORT2", freePort(p.t))
	for _, f := range ar.Files {
		write(p.t, filepath.Join(dir, filepath.FromSlash(f.Name)), ports.Replace(string(f.Data)))
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		p.t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		p.t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		p.t.Fatal(err)
	}
	text := strings.Replace(string(mod), "module github.com/hanse-go/hanse", "module example.com/"+strings.TrimSuffix(archive, ".txtar"), 1)
	write(p.t, filepath.Join(dir, "go.mod"), text+"\nrequire github.com/hanse-go/hanse v0.0.0\n\nreplace github.com/hanse-go/hanse => "+root+"\n")
	write(p.t, filepath.Join(dir, "go.sum"), string(sum))
	return dir
}

func freePort(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	_, port, _ := net.SplitHostPort(lis.Addr().String())
	return port
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func edit(t *testing.T, path, old, new string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(old)) {
		t.Fatalf("%s has no %q", path, old)
	}
	write(t, path, strings.Replace(string(b), old, new, 1))
}

// output collects what a command prints.
type output struct {
	mu sync.Mutex
	b  strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// devRun is a running hanse dev.
type devRun struct {
	*machine
	dir    string
	cmd    *exec.Cmd
	out    output
	exited chan struct{}
}

// dev starts hanse dev in dir and waits until it is ready. It is ended with the test.
func (p *machine) dev(dir string, args ...string) *devRun {
	p.t.Helper()
	d := p.launch(dir, args...)
	d.awaitReady()
	return d
}

func (p *machine) launch(dir string, args ...string) *devRun {
	p.t.Helper()
	return p.background(dir, append([]string{"dev"}, args...)...)
}

// background starts a command that goes on until the test ends.
func (p *machine) background(dir string, args ...string) *devRun {
	p.t.Helper()
	return p.run(dir, "hanse", args...)
}

// run starts a program of this machine that goes on until the test ends.
func (p *machine) run(dir, program string, args ...string) *devRun {
	p.t.Helper()
	d := &devRun{machine: p, dir: dir, exited: make(chan struct{})}
	d.cmd = exec.Command(filepath.Join(p.bin, program), args...)
	d.cmd.Dir, d.cmd.Env = dir, p.env
	d.cmd.Stdout, d.cmd.Stderr = &d.out, &d.out
	if err := d.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		d.cmd.Wait()
		close(d.exited)
	}()
	p.t.Cleanup(func() {
		d.cmd.Process.Signal(os.Interrupt)
		select {
		case <-d.exited:
		case <-time.After(patience):
			d.cmd.Process.Kill()
			<-d.exited
		}
		if p.t.Failed() {
			p.t.Logf("%s printed:\n%s", strings.Join(append([]string{program}, args...), " "), d.out.String())
		}
	})
	return d
}

func (d *devRun) awaitReady() {
	d.t.Helper()
	d.await("ready", func() bool {
		select {
		case <-d.exited:
			d.t.Fatalf("hanse dev ended: %v", d.cmd.ProcessState)
		default:
		}
		return strings.Contains(d.out.String(), "Ctrl-C here ends all")
	})
}

// kill ends the command as a crash does.
func (d *devRun) kill() {
	d.t.Helper()
	if err := d.cmd.Process.Kill(); err != nil {
		d.t.Fatal(err)
	}
	<-d.exited
}

// await polls until cond holds.
func (p *machine) await(what string, cond func() bool) {
	p.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline:
			p.t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// hanse runs a command in dir and returns what it prints and its exit status.
func (p *machine) hanse(dir string, args ...string) (stdout, stderr string, status int) {
	p.t.Helper()
	cmd := exec.Command(filepath.Join(p.bin, "hanse"), args...)
	cmd.Dir, cmd.Env = dir, p.env
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Run() // its error is the status
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must runs a command that must succeed.
func (d *devRun) must(args ...string) string {
	d.t.Helper()
	out, errs, status := d.hanse(d.dir, args...)
	if status != 0 {
		d.t.Fatalf("hanse %s: status %d\n%s%s", strings.Join(args, " "), status, out, errs)
	}
	return out
}

// ps returns the rows of a service, or all.
func (d *devRun) ps(service string) []psRow {
	d.t.Helper()
	var rows []psRow
	if err := json.Unmarshal([]byte(d.must("ps", "--json")), &rows); err != nil {
		d.t.Fatal(err)
	}
	if service == "" {
		return rows
	}
	return slices.DeleteFunc(rows, func(r psRow) bool { return r.Service != service })
}

// one returns the only row of a service, which must be ready.
func (d *devRun) one(service string) psRow {
	d.t.Helper()
	rows := d.ps(service)
	if len(rows) != 1 || rows[0].State != "ready" || rows[0].PID == 0 || rows[0].Instance == "" || len(rows[0].Endpoints) == 0 || rows[0].Started.IsZero() {
		d.t.Fatalf("instances of %s: %+v", service, rows)
	}
	return rows[0]
}

// url returns the address of a service's pages.
func (d *devRun) url(service string) string {
	d.t.Helper()
	for line := range strings.Lines(d.out.String()) {
		if f := strings.Fields(line); len(f) >= 5 && f[0] == "●" && f[1] == service {
			return f[4]
		}
	}
	d.t.Fatalf("no page of %s was announced", service)
	return ""
}

// gateway returns the address of the gateway.
func (d *devRun) gateway() string {
	d.t.Helper()
	m := regexp.MustCompile(`(?m)^  gateway: (http://\S+)/docs,`).FindStringSubmatch(d.out.String())
	if m == nil {
		d.t.Fatal("no gateway was announced")
	}
	return m[1]
}

// interrupt ends hanse dev as Ctrl-C does.
func (d *devRun) interrupt() {
	d.t.Helper()
	d.cmd.Process.Signal(os.Interrupt)
	d.await("hanse dev ends", func() bool {
		select {
		case <-d.exited:
			return true
		default:
			return false
		}
	})
	if !d.cmd.ProcessState.Success() {
		d.t.Errorf("hanse dev: %v", d.cmd.ProcessState)
	}
}

func (d *devRun) get(url string) string {
	d.t.Helper()
	return d.read(http.Get(url))
}

// post sends JSON.
func (d *devRun) post(url, body string) string {
	d.t.Helper()
	return d.read(http.Post(url, "application/json", strings.NewReader(body)))
}

func (d *devRun) read(resp *http.Response, err error) string {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(b)
}

// gone waits until a process has ended.
func (p *machine) gone(pid int) {
	p.t.Helper()
	p.await(fmt.Sprintf("process %d ends", pid), func() bool {
		state, err := exec.Command("ps", "-o", "stat=", "-p", fmt.Sprint(pid)).Output()
		return err != nil || strings.HasPrefix(string(state), "Z")
	})
}
