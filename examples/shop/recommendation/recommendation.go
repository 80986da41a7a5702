// Package recommendation is the service that finds products which go with others.
package recommendation

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/shop/problem"
	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	recommendationv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/recommendation/v1"
	"google.golang.org/protobuf/proto"
)

const (
	maxGiven     = 50
	maxLimit     = 24
	defaultLimit = 4

	refreshAfter = time.Minute // how old its view of the catalog may grow
)

// Service returns the recommendation service.
func Service() *hanse.Service {
	return &hanse.Service{Name: "recommendation", Setup: func(_ context.Context, s *hanse.Service) error {
		recommendationv1.RegisterRecommendationsServer(s, New(catalogv1.NewCatalogClient(s.Conn("catalog"))))
		return nil
	}}
}

// New returns the implementation, which reads the assortment from a catalog.
func New(catalog catalogv1.CatalogClient) recommendationv1.RecommendationsServer {
	return &server{catalog: catalog}
}

type server struct {
	recommendationv1.UnimplementedRecommendationsServer
	catalog catalogv1.CatalogClient

	mu     sync.Mutex
	view   *view
	loaded time.Time
}

func (s *server) ListRecommendations(ctx context.Context, req *recommendationv1.ListRecommendationsRequest) (*recommendationv1.ListRecommendationsResponse, error) {
	if n := len(req.GetProductIds()); n > maxGiven {
		return nil, problem.Invalid(problem.Field{Name: "product_ids", Problem: fmt.Sprintf("has %d entries, at most %d", n, maxGiven)})
	}
	limit := int(req.GetLimit())
	switch {
	case limit < 0 || limit > maxLimit:
		return nil, problem.Invalid(problem.Field{Name: "limit", Problem: fmt.Sprintf("is %d, must be from 0 to %d", limit, maxLimit)})
	case limit == 0:
		limit = defaultLimit
	}
	v, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	reply := &recommendationv1.ListRecommendationsResponse{}
	for _, p := range v.recommend(req.GetProductIds(), limit) {
		reply.Products = append(reply.Products, proto.CloneOf(p))
	}
	return reply, nil
}

// current returns a view of the catalog that is not too old. When the catalog is away, an old one is better than none.
func (s *server) current(ctx context.Context) (*view, error) {
	s.mu.Lock()
	v, fresh := s.view, time.Since(s.loaded) < refreshAfter
	s.mu.Unlock()
	if v != nil && fresh {
		return v, nil
	}
	loaded, err := load(ctx, s.catalog)
	if err != nil {
		if v != nil {
			return v, nil
		}
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view, s.loaded = loaded, time.Now()
	return loaded, nil
}

// view is what is known of the assortment at one time. It never changes.
type view struct {
	products []*catalogv1.Product
	byID     map[string]*catalogv1.Product
	rarity   map[string]float64 // of each tag: a tag that few products share says more
}

func load(ctx context.Context, catalog catalogv1.CatalogClient) (*view, error) {
	v := &view{byID: make(map[string]*catalogv1.Product), rarity: make(map[string]float64)}
	for req := (&catalogv1.ListProductsRequest{PageSize: 100}); ; {
		reply, err := catalog.ListProducts(ctx, req)
		if err != nil {
			return nil, err
		}
		v.products = append(v.products, reply.GetProducts()...)
		if req.PageToken = reply.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	for _, p := range v.products {
		v.byID[p.GetId()] = p
		for _, tag := range p.GetTags() {
			v.rarity[tag]++
		}
	}
	for tag, n := range v.rarity {
		v.rarity[tag] = math.Log(1 + float64(len(v.products))/n)
	}
	return v, nil
}

// recommend scores every product by the tags that it shares with the given ones and takes the best, at most half of them from one
// category, so that a page shows more than one shelf.
func (v *view) recommend(given []string, limit int) []*catalogv1.Product {
	want := make(map[string]float64) // tag → how much it is asked for
	have := make(map[string]bool)
	for _, id := range given {
		have[id] = true
		if p := v.byID[id]; p != nil {
			for _, tag := range p.GetTags() {
				want[tag] += v.rarity[tag]
			}
		}
	}
	if len(want) == 0 { // the house's choice
		want["gift"], want["amber"], want["tea"], want["brass"] = 1, .6, .5, .4
	}

	type scored struct {
		product *catalogv1.Product
		score   float64
	}
	var all []scored
	for _, p := range v.products {
		if have[p.GetId()] {
			continue
		}
		score := 0.0
		for _, tag := range p.GetTags() {
			score += want[tag]
		}
		all = append(all, scored{p, score / math.Sqrt(float64(len(p.GetTags())+1))})
	}
	slices.SortStableFunc(all, func(a, b scored) int { return cmp.Compare(b.score, a.score) })

	var chosen, rest []*catalogv1.Product
	perCategory := make(map[string]int)
	for _, s := range all {
		if c := s.product.GetCategory(); perCategory[c] < (limit+1)/2 {
			perCategory[c]++
			chosen = append(chosen, s.product)
		} else {
			rest = append(rest, s.product)
		}
	}
	chosen = append(chosen, rest...)
	return chosen[:min(limit, len(chosen))]
}
