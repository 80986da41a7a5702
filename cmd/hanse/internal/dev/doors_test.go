package dev

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hanse-go/hanse/cmd/hanse/internal/board"
	"github.com/hanse-go/hanse/discovery"
)

// openDoors runs doors for a board.
func openDoors(t *testing.T, b *board.Board) *doors {
	t.Helper()
	d := newDoors(filepath.Join(t.TempDir(), "ports.json"), b, t.Errorf)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { d.run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		http.DefaultClient.CloseIdleConnections()
	})
	return d
}

// backend serves pages that say who they are from and which host was asked for.
func backend(t *testing.T, name string) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/die" {
			panic(http.ErrAbortHandler)
		}
		host, _, _ := strings.Cut(r.Host, ":")
		fmt.Fprintf(w, "%s %s", name, host)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func pages(service, id, url string) discovery.Instance {
	return discovery.Instance{Service: service, ID: id, State: discovery.Ready, Metadata: map[string]string{httpKey: url}}
}

func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestDoorFollowsInstances(t *testing.T) {
	var b board.Board
	d := openDoors(t, &b)
	first := []discovery.Instance{pages("web", "1", backend(t, "one"))}
	b.Set(first)
	d.update(first)
	url := d.url("web")
	if url == "" {
		t.Fatal("no door")
	}
	if _, got := fetch(t, url); got != "one 127.0.0.1" {
		t.Errorf("%q", got)
	}
	draining := first[0]
	draining.State = discovery.Draining
	b.Set([]discovery.Instance{draining, pages("web", "2", backend(t, "two"))})
	if _, got := fetch(t, url); got != "two 127.0.0.1" || d.url("web") != url {
		t.Errorf("%q at %s", got, d.url("web"))
	}
	// One that is gone, but not yet from the registry.
	gone := httptest.NewServer(nil)
	gone.Close()
	b.Set([]discovery.Instance{pages("web", "3", gone.URL), pages("web", "4", backend(t, "four"))})
	for range 4 {
		if status, got := fetch(t, url); got != "four 127.0.0.1" {
			t.Errorf("%d %q", status, got)
		}
	}
}

// A request waits while there is no instance.
func TestDoorWaits(t *testing.T) {
	var b board.Board
	d := openDoors(t, &b)
	list := []discovery.Instance{pages("web", "1", backend(t, "one"))}
	d.update(list)
	got := make(chan string)
	url := d.url("web")
	go func() {
		_, body := fetch(t, url)
		got <- body
	}()
	b.Set(list)
	if body := <-got; body != "one 127.0.0.1" {
		t.Errorf("%q", body)
	}
}

// Nobody waits for a service that was stopped.
func TestDoorStopped(t *testing.T) {
	var b board.Board
	var stopped atomic.Bool
	d := newDoors(filepath.Join(t.TempDir(), "ports.json"), &b, t.Errorf)
	d.stopped = func(service string) bool { return service == "web" && stopped.Load() }
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { d.run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait(); http.DefaultClient.CloseIdleConnections() })
	list := []discovery.Instance{pages("web", "1", backend(t, "one"))}
	b.Set(list)
	d.update(list)
	url := d.url("web")

	// One that was started by hand serves, whatever hanse dev was told.
	stopped.Store(true)
	if _, got := fetch(t, url); got != "one 127.0.0.1" {
		t.Errorf("%q", got)
	}
	draining := list[0]
	draining.State = discovery.Draining
	b.Set([]discovery.Instance{draining})
	if status, got := fetch(t, url); status != http.StatusServiceUnavailable || !strings.Contains(got, "web is stopped") || !strings.Contains(got, "<code>hanse start web</code>") {
		t.Errorf("%d %s", status, got)
	}
}

// Where several services have one address, each is asked for by its name.
func TestDoorNamesService(t *testing.T) {
	var b board.Board
	d := openDoors(t, &b)
	url := backend(t, "both")
	list := []discovery.Instance{pages("web", "1", url), pages("shop", "2", url)}
	b.Set(list)
	d.update(list)
	for _, service := range []string{"web", "shop"} {
		if _, got := fetch(t, d.url(service)); got != "both "+service+".localhost" {
			t.Errorf("%q", got)
		}
	}
}

// A request that an instance took is not repeated: it may be what killed it.
func TestDoorDoesNotRepeat(t *testing.T) {
	var b board.Board
	d := openDoors(t, &b)
	var n atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		panic(http.ErrAbortHandler)
	}))
	defer srv.Close()
	list := []discovery.Instance{pages("web", "1", srv.URL), pages("web", "2", srv.URL)}
	b.Set(list)
	d.update(list)
	status, body := fetch(t, d.url("web"))
	if status != http.StatusBadGateway || !strings.Contains(body, "web does not answer") || n.Load() != 1 {
		t.Errorf("%d after %d requests: %s", status, n.Load(), body)
	}
}

// Pages stay at their port in the next run, unless another program has it by then.
func TestDoorKeepsPort(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ports.json")
	list := []discovery.Instance{pages("web", "1", "http://127.0.0.1:1")}
	open := func() (url string, end func()) {
		var b board.Board
		d := newDoors(file, &b, t.Errorf)
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { d.run(ctx) })
		d.update(list)
		return d.url("web"), func() { cancel(); wg.Wait() }
	}
	first, end := open()
	end()
	again, end := open()
	end()
	if first == "" || first != again {
		t.Errorf("pages moved from %s to %s", first, again)
	}
	lis, err := net.Listen("tcp", strings.TrimPrefix(first, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	moved, end := open()
	end()
	if moved == "" || moved == first {
		t.Errorf("pages are at %s, which is taken", moved)
	}
}
