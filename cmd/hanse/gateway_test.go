package main

import (
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestGateway puts the gateway before a running service, with a file that changes.
func TestGateway(t *testing.T) {
	p := newMachine(t)
	dir := p.system("greeter.txtar")
	start := func(name string, args ...string) (*exec.Cmd, *output) {
		t.Helper()
		cmd, out := exec.Command(filepath.Join(p.bin, name), args...), new(output)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, p.env, out, out
		startGroup(t, cmd, out)
		return cmd, out
	}
	if err := copyFile(filepath.Join(p.bin, "served"), filepath.Join(p.bin, "hanse")); err != nil { // testscript.Main goes by the name
		t.Fatal(err)
	}
	start("served", "shelf")
	p.await("the service runs", func() bool {
		_, _, status := p.hanse(dir, "call", "shelf/Get")
		return status == 0
	})
	file := filepath.Join(dir, "gateway.yaml")
	write(t, file, "gateway:\n  listen: 127.0.0.1:0\n  access-log: true\n")
	cmd, out := start("hanse", "gateway", "--config", file)
	listens := regexp.MustCompile(`✓ what runs for \S+ is at (\S+)`)
	p.await("the gateway listens", func() bool { return listens.MatchString(out.String()) })
	url := "http://" + listens.FindStringSubmatch(out.String())[1]
	send := func(method, path, body string) (code int, answer string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		data, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(data)
	}
	p.await("the gateway is ready", func() bool { code, _ := send("GET", "/readyz", ""); return code == 200 })
	const get = "/shelf.v1.Shelf/Get"
	if code, answer := send("POST", get, `{"name":"tea","size":"SIZE_LARGE"}`); code != 200 || !strings.Contains(answer, "SIZE_LARGE") {
		t.Errorf("%d %s", code, answer)
	}
	if code, answer := send("POST", get, `{"name":"nothing"}`); code != 404 || !strings.Contains(answer, "NO_SUCH_ITEM") {
		t.Errorf("%d %s", code, answer)
	}
	p.await("the access log", func() bool { return strings.Contains(out.String(), "method="+get+" code=NotFound") })
	write(t, file, "gateway:\n  listen: 127.0.0.1:0\n  rules:\n    - match: [\"*\"]\n      auth: kye\n")
	p.await("the mistake is told", func() bool { return strings.Contains(out.String(), "kye") })
	if code, _ := send("POST", get, `{}`); code != 200 {
		t.Errorf("after a mistake in the file: %d", code)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("at SIGTERM: %v", err)
	}
	for args, want := range map[string]string{
		"--config /nowhere/gateway.yaml":         "/nowhere/gateway.yaml",
		"--listen 0.0.0.0:0":                     "expose: name the services",
		"--log-format xml":                       "xml",
		"--config gateway.yaml --listen :0":      "listen",
		"--config gateway.yaml":                  "kye",
		"--system nowhere --listen 127.0.0.1:0":  "nowhere",
		"--registry memory: --listen :0 --docs":  "memory",
		"--identity /nowhere --listen 127.0.0.1": "no such file",
	} {
		if _, errs, status := p.hanse(dir, append([]string{"gateway"}, strings.Fields(args)...)...); status == 0 || !strings.Contains(errs, want) {
			t.Errorf("hanse gateway %s: status %d, %s, want %q", args, status, errs, want)
		}
	}
}
