package cart_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/hanse-go/hanse/examples/shop/cart"
	"github.com/hanse-go/hanse/examples/shop/problem"
	cartv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/cart/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string) *cart.Carts {
	t.Helper()
	c, err := cart.New(context.Background(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func add(c *cart.Carts, session, product string, n int32, request string) (*cartv1.AddItemResponse, error) {
	return c.AddItem(context.Background(), &cartv1.AddItemRequest{
		Session: session, Item: &cartv1.Item{ProductId: product, Quantity: n}, RequestId: request,
	})
}

// content returns a cart as "product×quantity …".
func content(t *testing.T, c *cart.Carts, session string) string {
	t.Helper()
	reply, err := c.GetCart(context.Background(), &cartv1.GetCartRequest{Session: session})
	if err != nil {
		t.Fatal(err)
	}
	return list(reply.GetCart())
}

func list(c *cartv1.Cart) string {
	var items []string
	for _, i := range c.GetItems() {
		items = append(items, fmt.Sprintf("%s×%d", i.GetProductId(), i.GetQuantity()))
	}
	return strings.Join(items, " ")
}

func TestCart(t *testing.T) {
	c := open(t, t.TempDir())
	if got := content(t, c, "a"); got != "" {
		t.Errorf("a new cart has %s", got)
	}
	add(c, "a", "tea", 1, "1")
	add(c, "a", "mug", 2, "2")
	add(c, "a", "tea", 3, "3")
	add(c, "b", "salt", 1, "1") // the same request ID of another session
	if got := content(t, c, "a"); got != "tea×4 mug×2" {
		t.Errorf("got %s", got)
	}
	reply, err := c.SetItem(context.Background(), &cartv1.SetItemRequest{Session: "a", Item: &cartv1.Item{ProductId: "tea", Quantity: 0}})
	if err != nil || list(reply.GetCart()) != "mug×2" {
		t.Errorf("after removing tea: %v, %v", reply, err)
	}
	if _, err := c.ClearCart(context.Background(), &cartv1.ClearCartRequest{Session: "a"}); err != nil {
		t.Fatal(err)
	}
	if a, b := content(t, c, "a"), content(t, c, "b"); a != "" || b != "salt×1" {
		t.Errorf("after clearing a: a has %q, b has %q", a, b)
	}
}

func TestRepeatedRequestAddsOnce(t *testing.T) {
	c := open(t, t.TempDir())
	for range 3 {
		reply, err := add(c, "a", "tea", 2, "the same")
		if err != nil || list(reply.GetCart()) != "tea×2" {
			t.Fatalf("got %v, %v", reply, err)
		}
	}
}

func TestLimits(t *testing.T) {
	c := open(t, t.TempDir())
	for name, test := range map[string]struct {
		session, product string
		n                int32
		request          string
	}{
		"no session":   {"", "tea", 1, "1"},
		"no product":   {"a", "", 1, "1"},
		"no request":   {"a", "tea", 1, ""},
		"none":         {"a", "tea", 0, "1"},
		"negative":     {"a", "tea", -1, "1"},
		"too many":     {"a", "tea", 100, "1"},
		"long session": {strings.Repeat("a", 129), "tea", 1, "1"},
	} {
		if _, err := add(c, test.session, test.product, test.n, test.request); status.Code(err) != codes.InvalidArgument || len(problem.Fields(err)) != 1 {
			t.Errorf("%s: %v, want InvalidArgument that names a field", name, err)
		}
	}
	add(c, "a", "tea", 60, "1")
	if _, err := add(c, "a", "tea", 40, "2"); problem.Reason(err) != "QUANTITY_LIMIT" {
		t.Errorf("100 of one: %v", err)
	}
	for i := range 49 {
		if _, err := add(c, "a", fmt.Sprint("p", i), 1, fmt.Sprint("p", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := add(c, "a", "one more", 1, "3"); problem.Reason(err) != "CART_FULL" {
		t.Errorf("51 lines: %v", err)
	}
	if got := content(t, c, "a"); !strings.HasPrefix(got, "tea×60 p0×1") || strings.Count(got, "×") != 50 {
		t.Errorf("what was refused shows: %s", got)
	}
	if _, err := add(c, "a", "tea", 39, "2"); err != nil {
		t.Errorf("a refused request cannot be sent again: %v", err)
	}
}

// TestReplicas lets several replicas, which open the file at once, add to one cart at once; one that starts later sees all of it.
func TestReplicas(t *testing.T) {
	dir := t.TempDir()
	var replicas []*cart.Carts
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c, err := cart.New(context.Background(), dir, nil)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			replicas = append(replicas, c)
		})
	}
	wg.Wait()
	for i, c := range replicas {
		for k := range 10 {
			wg.Go(func() {
				if _, err := add(c, "a", "tea", 1, fmt.Sprint(i, "-", k)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	for _, c := range replicas {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := content(t, open(t, dir), "a"); got != "tea×40" {
		t.Errorf("forty additions make %s", got)
	}
}

func TestCancelled(t *testing.T) {
	c := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.GetCart(ctx, &cartv1.GetCartRequest{Session: "a"}); status.Code(err) != codes.Canceled {
		t.Errorf("got %v, want Canceled", err)
	}
}
