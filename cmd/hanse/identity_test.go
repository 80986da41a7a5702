package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDevIdentity holds who may call what hanse dev runs, by the commands of the guide.
func TestDevIdentity(t *testing.T) {
	p := newMachine(t)
	d := p.dev(p.system("greeter.txtar"))
	addr := ""
	for _, e := range d.one("greeter").Endpoints {
		if tcp, ok := strings.CutPrefix(e, "tcp://"); ok {
			addr = tcp
		}
	}
	var run string
	for _, e := range p.env {
		if dir, ok := strings.CutPrefix(e, "XDG_RUNTIME_DIR="); ok {
			run = dir
		}
	}
	folder := filepath.Join(run, "hanse", "identity", "greeter", "services", "greeter")
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "guides", "identity.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for line := range strings.Lines(strings.NewReplacer("127.0.0.1:8443", addr, "/run/secrets/tls", folder).Replace(string(guide))) {
		if args, ok := strings.CutPrefix(line, "hanse call "); ok {
			commands++
			if out := d.must(append([]string{"call"}, strings.Fields(args)...)...); !strings.Contains(out, `"SERVING"`) {
				t.Errorf("%s: %s", line, out)
			}
		}
	}
	if commands != 2 {
		t.Errorf("the guide has %d calls", commands)
	}

	const check = "greeter/grpc.health.v1.Health/Check"
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--target", addr, check}, "Unauthenticated: this port takes calls over mutual TLS only"},
		{[]string{"--target", addr, check}, "(call it by its name in the system that hanse dev runs, or show a certificate of its system by --identity FOLDER)"},
		{[]string{"--identity", "off", check}, "Unauthenticated"},
		{[]string{"--target", addr, "--tls", "--insecure-skip-verify", check}, "certificate required"},
		{[]string{"--target", addr, "--identity", folder, "cart/grpc.health.v1.Health/Check"}, "the peer is spiffe://greeter/greeter and not spiffe://greeter/cart"},
		{[]string{"--target", addr, "--identity", folder, "grpc.health.v1.Health/Check"}, "which service answers at"},
		{[]string{"--identity", t.TempDir(), check}, "no such file"},
		{[]string{"--identity", folder, "--tls", check}, "exclude each other"},
	} {
		if _, errs, status := p.hanse(d.dir, append([]string{"call"}, tt.args...)...); status == 0 || !strings.Contains(errs, tt.want) {
			t.Errorf("hanse call %s: status %d, %s, want %q", strings.Join(tt.args, " "), status, errs, tt.want)
		}
	}

	plain := p.dev(p.system("greeter.txtar"), "--no-identity", "--system", "plain")
	if out := plain.must("call", "--system", "plain", check); !strings.Contains(out, `"SERVING"`) {
		t.Errorf("without identity: %s", out)
	}
	if _, errs, status := p.hanse(d.dir, "dev", "--certificate-life", "1ms"); status != 2 || !strings.Contains(errs, "--certificate-life") {
		t.Errorf("status %d, %s", status, errs)
	}
}
