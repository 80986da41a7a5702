package dev

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/board"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/identity"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

func testCertificates(t *testing.T, life time.Duration) *certificates {
	t.Helper()
	dir, err := os.MkdirTemp("", "hanse")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	c, err := openCertificates("Shop one", life)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCertificatesAreKept holds who can read what, and what the next run finds.
func TestCertificatesAreKept(t *testing.T) {
	c := testCertificates(t, 0)
	if err := c.give("cart", "catalog"); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		for path, want := range map[string]os.FileMode{
			filepath.Dir(c.home): 0o700, c.home: 0o700, filepath.Join(c.home, "ca.key"): 0o600,
			c.folder("cart"): 0o700, filepath.Join(c.folder("cart"), "tls.pem"): 0o600,
		} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", path, info.Mode(), err)
			}
		}
	}
	if files, _ := filepath.Glob(filepath.Join(c.folder("cart"), "*")); len(files) != 2 {
		t.Errorf("a service gets %v, and never the key of the authority", files)
	}
	source := &identity.Files{Dir: c.folder("{service}")}
	cert, err := source.Certificate("cart")
	if err != nil {
		t.Fatal(err)
	}
	if id, err := identity.CertificateID(cert.Leaf); err != nil || id.String() != "spiffe://shop-one/cart" {
		t.Errorf("%v, %v", id, err)
	}
	next, err := openCertificates("Shop one", 0)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := c.authority.Roots()
	if after, _ := next.authority.Roots(); !after.Equal(before) {
		t.Error("the next run has another authority")
	}
	if _, err := os.Stat(c.folder("cart")); !os.IsNotExist(err) {
		t.Errorf("the next run finds certificates of this one: %v", err)
	}
}

// TestCertificatesAreRenewed holds that they are, in time.
func TestCertificatesAreRenewed(t *testing.T) {
	c := testCertificates(t, time.Hour)
	synctest.Test(t, func(t *testing.T) {
		if err := c.give("cart"); err != nil {
			t.Fatal(err)
		}
		source := &identity.Files{Dir: c.folder("{service}")}
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { c.run(ctx, t.Logf, t.Errorf) })
		last := ""
		for range 5 {
			cert, err := source.Certificate("cart")
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(cert.Leaf.NotAfter); left < 39*time.Minute {
				t.Errorf("%v are left", left)
			}
			if now := cert.Leaf.SerialNumber.String(); now == last {
				t.Error("not renewed")
			} else {
				last = now
			}
			time.Sleep(21 * time.Minute)
			synctest.Wait()
		}
		cancel()
		all.Wait()
	})
}

// TestDoorCalls holds that calls by a door reach a service that wants certificates, as calls of hanse dev, and that its pages stay what
// they are.
func TestDoorCalls(t *testing.T) {
	shop, err := identity.NewAuthority("shop")
	if err != nil {
		t.Fatal(err)
	}
	app := &hanse.App{Registry: new(discovery.Memory), Identity: shop, Logger: slog.New(slog.DiscardHandler)}
	callers := make(chan string, 1)
	app.UnaryInterceptors = append(app.UnaryInterceptors, func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		id, _ := identity.Caller(ctx)
		callers <- id.String()
		return h(ctx, req)
	})
	web := &hanse.Service{Name: "web"}
	web.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "page") }))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx, web) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	var b board.Board
	d := newDoors(filepath.Join(t.TempDir(), "ports.json"), &b, t.Errorf)
	d.source = shop
	running, end := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { d.run(running) })
	all.Go(func() { app.Registry.Watch(running, "", b.Set) })
	t.Cleanup(func() {
		end()
		all.Wait()
		http.DefaultClient.CloseIdleConnections()
	})
	b.Await(t.Context(), nil, func(list []discovery.Instance) bool {
		return len(list) == 1 && list[0].State == discovery.Ready && list[0].Metadata[httpKey] != ""
	})
	list, _ := b.Get()
	d.update(list)

	if _, got := fetch(t, d.url("web")); got != "page" {
		t.Errorf("the page: %q", got)
	}
	cc, err := grpc.NewClient("passthrough:///"+strings.TrimPrefix(d.url("web"), "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	if _, err := healthpb.NewHealthClient(cc).Check(t.Context(), new(healthpb.HealthCheckRequest)); err != nil {
		t.Fatal(err)
	}
	if got := <-callers; got != "spiffe://shop/hanse-dev" {
		t.Errorf("the caller is %q", got)
	}
}
