package hanse_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/internal/systems"
)

// TestWhichSystem runs programs in folders where a system runs, above, below and beside them.
func TestWhichSystem(t *testing.T) {
	runtimeDir := runtimeDir(t)
	t.Setenv("XDG_RUNTIME_DIR", runtimeDir)
	module, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"shop/cart", "other"} {
		if err := os.MkdirAll(filepath.Join(module, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeFile(filepath.Join(module, "go.mod"), "// A comment.\nmodule github.com/hanse-go/hanse // and another\n"); err != nil {
		t.Fatal(err)
	}
	chosen := func(dir string, args []string, env ...string) (system, registry, because string) {
		t.Helper()
		p := prepare(t, "greeter", args, append(env, "XDG_RUNTIME_DIR="+runtimeDir, "HANSE_LOG_LEVEL=debug")...)
		p.cmd.Dir = dir
		p.start()
		line := p.await("system chosen")
		_, because, _ = strings.Cut(line, "because=")
		p.cmd.Process.Kill()
		p.exit()
		return field(line, "system"), field(line, "registry"), because
	}

	// Nothing runs: programs of one module meet, wherever they are started in it, and those of another checkout do not.
	_, here, because := chosen(filepath.Join(module, "shop", "cart"), nil)
	if here != "local:"+systems.OfFolder(module) || !strings.Contains(because, module) {
		t.Errorf("registry %s because %s", here, because)
	}
	if _, there, _ := chosen(filepath.Join(module, "other"), nil); there != here {
		t.Errorf("registry %s and %s in one module", here, there)
	}
	if _, elsewhere, _ := chosen(t.TempDir(), nil); elsewhere == here {
		t.Errorf("registry %s in another place, too", here)
	}

	lease, err := systems.Hold(systems.System{Name: "shop", Dir: filepath.Join(module, "shop")})
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Close()
	s := lease.System
	s.Registry = "local:of-the-shop"
	if err := lease.Publish(s); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, dir string
		args      []string
		env       []string
		system    string
		registry  string
		because   string
	}{
		{"below", "shop/cart", nil, nil, "shop", "local:of-the-shop", "hanse dev runs for " + s.Dir},
		{"beside", "other", nil, nil, "", here, "no hanse dev runs for " + module},
		{"by name", "other", []string{"--system=shop"}, nil, "shop", "local:of-the-shop", "hanse dev runs a system of that name in " + s.Dir},
		{"by an unknown name", "shop", []string{"--system=stall"}, nil, "stall", "local:stall", "no running system has that name"},
		{"by registry", "shop", []string{"--registry=local:mine"}, nil, "", "local:mine", "it was set"},
		{"by registry in a pod", "shop", nil, []string{"HANSE_REGISTRY=memory:", "KUBERNETES_SERVICE_HOST=10.0.0.1"}, "", "memory:", "it was set"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			system, registry, because := chosen(filepath.Join(module, tt.dir), tt.args, tt.env...)
			if system != tt.system || registry != tt.registry || !strings.Contains(because, tt.because) {
				t.Errorf("system %q, registry %q because %s; want %q, %q because %s", system, registry, because, tt.system, tt.registry, tt.because)
			}
		})
	}

	hub, err := systems.HoldHub(systems.Hub{Name: "stall", Dir: filepath.Join(module, "other"), Backplane: "nats://secret@127.0.0.1:1", PID: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Close()
	for _, tt := range []struct {
		name, dir string
		args      []string
		registry  string
	}{
		{"a hub", "other", nil, "backplane:stall"},
		{"a hub by name", "shop", []string{"--system=stall"}, "backplane:stall"},
		{"no hub", "other", []string{"--backplane=off"}, here},
		{"another hub", "shop/cart", []string{"--backplane=nats://secret@127.0.0.1:2", "--system=mine"}, "backplane:mine"},
		{"another hub of no system", "shop/cart", []string{"--backplane=nats://secret@127.0.0.1:2"}, "backplane:default"},
		{"by registry", "other", []string{"--registry=local:mine"}, "local:mine"},
		{"hanse dev", "shop/cart", nil, "local:of-the-shop"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, registry, because := chosen(filepath.Join(module, tt.dir), tt.args); registry != tt.registry || strings.Contains(because, "secret") {
				t.Errorf("registry %q because %s; want %q", registry, because, tt.registry)
			}
		})
	}
}
