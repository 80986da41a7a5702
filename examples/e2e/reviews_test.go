//go:build unix

package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/internal/nodetest"
	reviewsv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/reviews/v1"
)

// TestReviews runs the shop with its service in JavaScript, which the storefront calls and which calls the catalog, and restarts both
// under load: no call fails, and no page goes without reviews.
func TestReviews(t *testing.T) {
	addReviews(t)
	s := devOf(t, slices.Sorted(slices.Values(append([]string{"reviews"}, services...))))
	visit(t, s.page(t)).open("/products/kontor-mug", "What customers say", "of 5 stars in")
	t.Run("seen", func(t *testing.T) { testReviewsSeen(t, s) })

	t.Setenv("HANSE_SYSTEM", "shop")
	t.Setenv("HANSE_LOG_LEVEL", "warn")
	app, err := hanse.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	reviews := reviewsv1.NewReviewsClient(app.Conn("reviews"))
	ctx, stop := context.WithCancel(t.Context())
	var calls atomic.Int64
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for ctx.Err() == nil {
				if _, err := reviews.ListReviews(t.Context(), &reviewsv1.ListReviewsRequest{ProductId: "kontor-mug"}); err != nil {
					t.Errorf("call %d: %v", calls.Load(), err)
				}
				calls.Add(1)
			}
		})
	}
	flowing := func() {
		from := calls.Load()
		s.await(t, "calls are answered", func() bool { return calls.Load() > from+100 })
	}
	rounds := 2
	if full {
		rounds = 10
	}
	pages := read(t, s, 10)
	began := time.Now()
	for range rounds {
		for _, name := range []string{"reviews", "catalog"} {
			flowing()
			before := s.ready(t, name)
			s.hanse(t, "restart", name)
			if after := s.ready(t, name); len(after) != 1 || after[0].PID == before[0].PID {
				t.Errorf("%s was not replaced: %+v became %+v", name, before, after)
			}
		}
	}
	flowing()
	stop()
	callers.Wait()
	pages.end()
	visit(t, s.page(t)).open("/products/kontor-mug", "of 5 stars in")
	t.Logf("%d restarts, %d calls in %v, each by way of Node to the catalog", 2*rounds, calls.Load(), time.Since(began).Round(time.Second))
}

// addReviews adds the service in JavaScript, with its packages, to the copy of the shop.
func addReviews(t *testing.T) {
	t.Helper()
	from, to := filepath.Join("..", "shop"), shopDir()
	for _, name := range []string{"reviews", "hanse.yaml"} {
		if out, err := exec.Command("cp", "-R", filepath.Join(from, name), to).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		t.Cleanup(func() { os.RemoveAll(filepath.Join(to, name)) })
	}
	nodetest.Packages(t, filepath.Join(to, "reviews"), "the service in JavaScript")
}
