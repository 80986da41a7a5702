package recommendation_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/examples/shop/catalog"
	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	recommendationv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/recommendation/v1"
	"github.com/hanse-go/hanse/examples/shop/recommendation"
	"github.com/hanse-go/hanse/hansetest"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func recommend(t *testing.T, c recommendationv1.RecommendationsClient, limit int32, given ...string) []*catalogv1.Product {
	t.Helper()
	reply, err := c.ListRecommendations(t.Context(), &recommendationv1.ListRecommendationsRequest{ProductIds: given, Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	return reply.GetProducts()
}

func TestRecommend(t *testing.T) {
	sys := hansetest.Run(t, catalog.Service(), recommendation.Service())
	c := recommendationv1.NewRecommendationsClient(sys.Conn("recommendation"))

	if got := recommend(t, c, 0); len(got) != 4 {
		t.Errorf("%d products by default, want 4", len(got))
	}
	for _, test := range []struct{ given, want string }{
		{"kontor-mug", "night-watch-mug"},
		{"amber-drop-pendant", "butterscotch-pendant"},
		{"flanders-blanket", "north-sea-blanket"},
		{"smoked-alder-salt", "lueneburg-pan-salt"},
	} {
		got := recommend(t, c, 6, test.given)
		ids, perCategory := []string{}, map[string]int{}
		for _, p := range got {
			ids = append(ids, p.GetId())
			perCategory[p.GetCategory()]++
		}
		if !slices.Contains(ids, test.want) || slices.Contains(ids, test.given) || len(ids) != 6 {
			t.Errorf("with %s: %v, want %s among six", test.given, ids, test.want)
		}
		for category, n := range perCategory {
			if n > 3 {
				t.Errorf("with %s: %d of %s", test.given, n, category)
			}
		}
	}
	if got := recommend(t, c, 4, "unknown"); len(got) != 4 {
		t.Errorf("with what nobody knows: %d", len(got))
	}
	for _, req := range []*recommendationv1.ListRecommendationsRequest{{Limit: 25}, {Limit: -1}, {ProductIds: make([]string, 51)}} {
		if _, err := c.ListRecommendations(t.Context(), req); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v, want InvalidArgument", req, err)
		}
	}
}

// shelf is a catalog with one more product each time it is read, until it is away.
type shelf struct {
	catalogv1.CatalogClient // calls of the others would panic
	reads                   int
	away                    bool
}

func (s *shelf) ListProducts(context.Context, *catalogv1.ListProductsRequest, ...grpc.CallOption) (*catalogv1.ListProductsResponse, error) {
	if s.away {
		return nil, status.Error(codes.Unavailable, "away")
	}
	s.reads++
	reply := &catalogv1.ListProductsResponse{}
	for i := range s.reads {
		reply.Products = append(reply.Products, &catalogv1.Product{Id: fmt.Sprint(i), Tags: []string{"gift"}})
	}
	return reply, nil
}

// TestView looks at how often the catalog is read, and that an old view is better than none.
func TestView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := &shelf{away: true}
		server := recommendation.New(shelf)
		list := func() (int, error) {
			reply, err := server.ListRecommendations(t.Context(), &recommendationv1.ListRecommendationsRequest{Limit: 24})
			return len(reply.GetProducts()), err
		}
		if _, err := list(); status.Code(err) != codes.Unavailable {
			t.Errorf("without a catalog: %v, want Unavailable", err)
		}
		shelf.away = false
		for range 3 {
			if n, err := list(); n != 1 || err != nil {
				t.Errorf("%d products, %v, want the first view", n, err)
			}
		}
		time.Sleep(2 * time.Minute)
		if n, err := list(); n != 2 || err != nil {
			t.Errorf("%d products, %v, want a new view after two minutes", n, err)
		}
		shelf.away = true
		time.Sleep(2 * time.Minute)
		if n, err := list(); n != 2 || err != nil {
			t.Errorf("%d products, %v, want the old view while the catalog is away", n, err)
		}
	})
}
