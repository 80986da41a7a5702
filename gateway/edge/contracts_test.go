package edge_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/gateway"
	"github.com/hanse-go/hanse/gateway/edge"
)

// Contracts are those of the services that have an instance now; calls outlive the announcement of their instance.
func TestContracts(t *testing.T) {
	w := newWorld(t)
	looked := make(chan struct{}, 1)
	c := &edge.Contracts{Registry: &w.registry, Conn: w.conn, Logger: slog.New(slog.DiscardHandler), Looked: func() {
		select {
		case looked <- struct{}{}:
		default:
		}
	}}
	if missing := c.Missing(); len(missing) != 1 {
		t.Errorf("before Run nothing is missing: %q", missing)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	defer running.Wait()
	defer cancel()

	shows := func(want bool) {
		t.Helper()
		timeout := time.After(10 * time.Second)
		for slices.ContainsFunc(names(c), func(name string) bool { return name == "library.Library" }) != want || len(c.Missing()) > 0 {
			select {
			case <-looked:
			case <-timeout:
				t.Fatalf("contracts: %q, missing: %q", names(c), c.Missing())
			}
		}
	}
	call := func(ctx context.Context, body string) *httptest.ResponseRecorder {
		h := &gateway.Handler{Backend: c, Config: gateway.Config{Types: c.Types()}}
		r := httptest.NewRequest(http.MethodPost, getBook, strings.NewReader(body)).WithContext(ctx)
		r.Header.Set("Content-Type", "application/json")
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		return answer
	}

	shows(false)
	lib := &library{name: "books", waiting: make(chan struct{}, 1)}
	end := w.serve("books", lib)
	shows(true)
	if a := call(ctx, `{"name":"cog"}`); a.Code != 200 || a.Body.String() != `{"name":"cog"}` || a.Header().Get("X-Served-By") != "books" {
		t.Errorf("%d %s %v", a.Code, a.Body, a.Header())
	}
	if a := call(ctx, `{"name":"missing"}`); a.Code != 404 {
		t.Errorf("%d %s", a.Code, a.Body)
	}

	calling, hangUp := context.WithCancel(ctx)
	ended := make(chan *httptest.ResponseRecorder, 1)
	go func() { ended <- call(calling, `{"name":"wait"}`) }()
	<-lib.waiting
	if err := w.lease.Update(ctx, discovery.Instance{Service: "books", ID: "books", State: discovery.Draining}); err != nil {
		t.Fatal(err)
	}
	shows(false)
	select {
	case a := <-ended:
		t.Errorf("the call that ran was ended: %d %s", a.Code, a.Body)
	default:
	}
	if a := call(ctx, `{}`); a.Code != 404 {
		t.Errorf("a contract that is gone: %d %s", a.Code, a.Body)
	}
	hangUp()
	if a := <-ended; a.Code != 499 {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	end()
	w.serve("books", lib)
	shows(true)
	if a := call(ctx, `{}`); a.Code != 200 {
		t.Errorf("the service is back: %d %s", a.Code, a.Body)
	}
}

func names(c *edge.Contracts) (list []string) {
	for _, d := range c.Contracts() {
		list = append(list, string(d.FullName()))
	}
	return list
}

var _ gateway.Backend = (*edge.Contracts)(nil)
