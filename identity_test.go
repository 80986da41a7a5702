package hanse_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/internal/systems"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

func newIdentity(t *testing.T, system string) *identity.Authority {
	t.Helper()
	a, err := identity.NewAuthority(system)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// vault is a service that tells each caller who it is, and its page too.
func vault(rules ...hanse.Rule) *hanse.Service {
	s := &hanse.Service{Name: "vault", Allow: rules}
	who := func(ctx context.Context) error {
		id, _ := identity.Caller(ctx)
		return fmt.Errorf("you are %q", id)
	}
	testpb.RegisterTestServiceServer(s, greetServer{before: who})
	s.Handle("/page", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, who(r.Context())) }))
	return s
}

// TestIdentityOfCallers holds that a called service knows the caller on every path, and that each service of an app calls as itself.
func TestIdentityOfCallers(t *testing.T) {
	bank := newIdentity(t, "bank")
	for _, path := range []hanse.Path{"", "unix", "tcp"} {
		t.Run("path "+string(path), func(t *testing.T) {
			registry := new(discovery.Memory)
			r := run(t, &hanse.App{Registry: registry, Identity: bank, Path: path}, vault())
			teller, thief := named("teller"), named("thief")
			other := &hanse.App{Registry: registry, Identity: bank, Path: path}
			conns := map[string]grpc.ClientConnInterface{"teller": teller.Conn("vault"), "thief": thief.Conn("vault")}
			run(t, other, teller, thief)
			conns["teller of the app"] = other.Conn("vault")
			for name, conn := range conns {
				want := "spiffe://bank/" + strings.TrimSuffix(name, " of the app")
				if got := hello(conn, "x"); !strings.Contains(got, `you are "`+want+`"`) {
					t.Errorf("%s gets %s", name, got)
				}
			}
			if got := hello(r.Conn("vault"), "x"); !strings.Contains(got, `you are "spiffe://bank/vault"`) {
				t.Errorf("the app itself gets %s", got)
			}
			r.stop()
			<-r.done // by then it has said that it was ready
			if !strings.Contains(r.log.String(), "identity=bank") {
				t.Error("the line that tells that the app is ready does not tell its identity")
			}
		})
	}
}

// TestIdentityLetsIn holds whom a port refuses, and what that one reads.
func TestIdentityLetsIn(t *testing.T) {
	bank := newIdentity(t, "bank")
	r := run(t, &hanse.App{Identity: bank}, vault(hanse.Rule{Callers: []string{"teller"}}))
	for name, tt := range map[string]struct {
		app  *hanse.App
		want []string
	}{
		"without":              {&hanse.App{}, []string{"Unauthenticated", "mutual TLS only"}},
		"of another authority": {&hanse.App{Identity: newIdentity(t, "bank")}, []string{"Unavailable", "unknown authority"}},
		"of another system":    {&hanse.App{Identity: newIdentity(t, "other")}, []string{"Unavailable", "unknown authority"}},
		"that no rule lets in": {&hanse.App{Identity: bank}, []string{"PermissionDenied", "spiffe://bank/"}},
	} {
		tt.app.Registry, tt.app.Path = r.registry, "tcp"
		got := hello(tt.app.Conn("vault"), "x")
		tt.app.Close()
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("a caller %s gets %s, want %q", name, got, want)
			}
		}
	}
	if got := hello(r.stock("vault"), "x"); !strings.Contains(got, "Unauthenticated") {
		t.Errorf("a stock client gets %s", got)
	}
	secure, err := grpc.NewClient(r.addr("vault"), grpc.WithTransportCredentials(credentials.NewTLS(identity.ClientConfig(bank, "teller", "vault"))))
	if err != nil {
		t.Fatal(err)
	}
	defer secure.Close()
	if got := hello(secure, "x"); !strings.Contains(got, `you are "spiffe://bank/teller"`) {
		t.Errorf("a stock client with a certificate gets %s", got)
	}
}

// TestIdentityAndPages holds who sees the pages of an app with an identity.
func TestIdentityAndPages(t *testing.T) {
	bank := newIdentity(t, "bank")
	no := false
	for _, tt := range []struct {
		app  *hanse.App
		want string
	}{
		{&hanse.App{}, `you are ""`}, // a listener on loopback
		{&hanse.App{PlainHTTP: &no}, "mutual TLS only"},
	} {
		tt.app.Identity = bank
		r := run(t, tt.app, vault())
		if page, plain := r.instances["vault"].Metadata["http"], tt.app.PlainHTTP == nil; strings.HasPrefix(page, "http:") != plain {
			t.Errorf("the pages are announced at %s", page)
		}
		resp, err := http.Get("http://" + r.addr("vault") + "/page")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !strings.Contains(string(text), tt.want) {
			t.Errorf("%s, want %q", text, tt.want)
		}
		secure := &http.Transport{TLSClientConfig: identity.ClientConfig(bank, "teller", "vault")}
		resp, err = (&http.Client{Transport: secure}).Get("https://" + r.addr("vault") + "/page")
		if err != nil {
			t.Fatal(err)
		}
		text, _ = io.ReadAll(resp.Body)
		resp.Body.Close()
		secure.CloseIdleConnections()
		http.DefaultClient.CloseIdleConnections()
		if !strings.Contains(string(text), `you are "spiffe://bank/teller"`) {
			t.Errorf("with a certificate: %s", text)
		}
		r.end()
	}
}

// noCertificates is a source that has none.
type noCertificates struct{ *identity.Authority }

func (noCertificates) Certificate(string) (*tls.Certificate, error) {
	return nil, fmt.Errorf("the agent is away")
}

// TestIdentityMistakes holds that an app does not begin with certificates that nobody would take.
func TestIdentityMistakes(t *testing.T) {
	bank := newIdentity(t, "bank")
	dir := t.TempDir()
	if err := bank.WriteFiles(dir, "vault"); err != nil {
		t.Fatal(err)
	}
	old := t.TempDir()
	past := newIdentity(t, "bank")
	past.Lifetime = time.Nanosecond
	if err := past.WriteFiles(old, "vault"); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		source identity.Source
		want   []string
	}{
		"none":        {noCertificates{bank}, []string{"service teller: no certificate to show: the agent is away", "service vault: no certificate"}},
		"one for two": {&identity.Files{Dir: dir}, []string{"service teller: no certificate to show", "is the certificate of spiffe://bank/vault, and callers of teller want to see spiffe://bank/teller"}},
		"expired":     {&identity.Files{Dir: old}, []string{"service vault: no certificate to show: it has expired"}},
		"no folder":   {&identity.Files{Dir: filepath.Join(dir, "none")}, []string{filepath.Join(dir, "none", "tls.crt")}},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, (&hanse.App{Identity: tt.source}).Run(t.Context(), vault(), named("teller")), tt.want...)
		})
	}
}

// TestIdentityOfPrograms holds what --identity does, and that a program that is started by hand takes part in a system that hanse dev
// runs with certificates.
func TestIdentityOfPrograms(t *testing.T) {
	dir := runtimeDir(t)
	t.Setenv("XDG_RUNTIME_DIR", dir)
	folder := t.TempDir()
	authority, err := identity.OpenAuthority(filepath.Join(dir, "ca"), "shop")
	if err != nil {
		t.Fatal(err)
	}
	lease, err := systems.Hold(systems.System{Name: "shop", Dir: folder})
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Close()
	s := lease.System
	s.Registry, s.Identity = "local:shop", filepath.Join(dir, "ca")
	if err := lease.Publish(s); err != nil {
		t.Fatal(err)
	}
	files := filepath.Join(t.TempDir(), "{service}")
	if err := authority.WriteFiles(strings.ReplaceAll(files, "{service}", "greeter"), "greeter"); err != nil {
		t.Fatal(err)
	}
	env := []string{"XDG_RUNTIME_DIR=" + dir, "HANSE_SYSTEM=shop"}
	greeter := start(t, "greeter", []string{"--identity", files}, append(env, "HANSE_REGISTRY=local:shop")...)
	if line := greeter.await("ready"); field(line, "identity") != "shop" {
		t.Errorf("ready: %s", line)
	}
	for _, tt := range []struct {
		env  []string
		want string
	}{
		{env, "Hello, Lübeck!"},
		{append(env, "HANSE_REGISTRY=local:shop"), "Hello, Lübeck!"},
		{append(env, "HANSE_IDENTITY=off"), "Unauthenticated"},
		{append(env, "HANSE_IDENTITY="+t.TempDir()), "no such file"},
	} {
		p := start(t, "caller", nil, tt.env...)
		if code := p.exit(); code != 0 || !strings.Contains(p.stdout.String(), tt.want) {
			t.Errorf("%v: status %d, %s, want %q", tt.env[2:], code, p.stdout.String(), tt.want)
		}
	}
}
