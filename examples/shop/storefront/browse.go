package storefront

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	recommendationv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/recommendation/v1"
	reviewsv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/reviews/v1"
	shippingv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/shipping/v1"
	stockv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/stock/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// perPage is how many products a page of a category shows.
const perPage = 24

// recommended is the row of products at the end of a page.
type recommended struct {
	Title    string
	Products []*catalogv1.Product // none: they are not to be had
}

// recommend asks for products that go with others.
func (s *Shop) recommend(ctx context.Context, p *page, title string, limit int32, given ...string) recommended {
	ctx, cancel := context.WithTimeout(ctx, softTimeout)
	defer cancel()
	reply, err := s.Recommendations.ListRecommendations(ctx, &recommendationv1.ListRecommendationsRequest{ProductIds: given, Limit: limit})
	if err != nil {
		return recommended{Title: title}
	}
	p.pricedProducts(reply.GetProducts())
	return recommended{Title: title, Products: reply.GetProducts()}
}

type homeData struct {
	Rows        []row
	Recommended recommended
}

// row is a category and some of its products.
type row struct {
	Category *catalogv1.Category
	Products []*catalogv1.Product
}

func (s *Shop) home(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, "home", func(ctx context.Context, p *page) error {
		data := &homeData{}
		p.Data = data
		var products *catalogv1.ListProductsResponse
		var err error
		var wg sync.WaitGroup
		wg.Go(func() { data.Recommended = s.recommend(ctx, p, "The house recommends", 8) })
		wg.Go(func() {
			products, err = s.Catalog.ListProducts(ctx, &catalogv1.ListProductsRequest{PageSize: 100})
		})
		wg.Wait()
		if err != nil {
			return &away{"The catalog", err}
		}
		p.after = append(p.after, func() error { // the categories are there by then
			for _, c := range p.Categories {
				row := row{Category: c}
				for _, product := range products.GetProducts() {
					if product.GetCategory() == c.GetId() && len(row.Products) < 4 {
						row.Products = append(row.Products, product)
					}
				}
				data.Rows = append(data.Rows, row)
			}
			return nil
		})
		return nil
	})
}

type shelfData struct {
	Category *catalogv1.Category // nil for a search
	Products []*catalogv1.Product
	Total    int32
	Sort     string
	Previous string // path; empty on the first page
	Next     string // path; empty on the last page
	Others   recommended
}

// sorts are the orders that a reader can choose.
var sorts = map[string]catalogv1.Sort{
	"":           catalogv1.Sort_SORT_UNSPECIFIED,
	"price":      catalogv1.Sort_SORT_PRICE_ASCENDING,
	"price-down": catalogv1.Sort_SORT_PRICE_DESCENDING,
	"name":       catalogv1.Sort_SORT_NAME,
}

func (s *Shop) category(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("category")
	if id == "all" {
		id = ""
	}
	s.show(w, r, "shelf", func(ctx context.Context, p *page) error {
		sort := r.FormValue("sort")
		if _, ok := sorts[sort]; !ok {
			sort = ""
		}
		start, _ := strconv.Atoi(r.FormValue("from")) // anything else is the first page
		start = max(start-start%perPage, 0)
		req := &catalogv1.ListProductsRequest{Category: id, PageSize: perPage, Sort: sorts[sort]}
		if start > 0 {
			req.PageToken = strconv.Itoa(start)
		}
		reply, err := s.Catalog.ListProducts(ctx, req)
		if err != nil {
			return &away{"The catalog", err}
		}
		p.pricedProducts(reply.GetProducts())
		data := &shelfData{Products: reply.GetProducts(), Total: reply.GetTotal(), Sort: sort}
		at := func(n int) string {
			q := url.Values{}
			if n > 0 {
				q.Set("from", strconv.Itoa(n))
			}
			if sort != "" {
				q.Set("sort", sort)
			}
			if len(q) == 0 {
				return r.URL.Path
			}
			return r.URL.Path + "?" + q.Encode()
		}
		if start > 0 {
			data.Previous = at(start - perPage)
		}
		if reply.GetNextPageToken() != "" {
			data.Next = at(start + perPage)
		}
		p.Title, p.Shelf, p.Data = "All goods", id, data
		p.after = append(p.after, func() error {
			data.Category = &catalogv1.Category{Name: "All goods", Summary: "Everything on the shelves, from every harbour."}
			for _, c := range p.Categories {
				if id != "" && c.GetId() == id {
					data.Category, p.Title = c, c.GetName()
				}
			}
			return nil
		})
		return nil
	})
}

func (s *Shop) search(w http.ResponseWriter, r *http.Request) {
	query := strings.TrimSpace(r.FormValue("q"))
	if len(query) > 200 {
		query = strings.ToValidUTF8(query[:200], "")
	}
	s.show(w, r, "search", func(ctx context.Context, p *page) error {
		reply, err := s.Catalog.SearchProducts(ctx, &catalogv1.SearchProductsRequest{Query: query, Limit: 48})
		if err != nil {
			return &away{"The catalog", err}
		}
		p.pricedProducts(reply.GetProducts())
		data := &shelfData{Products: reply.GetProducts(), Total: reply.GetTotal()}
		if len(data.Products) == 0 {
			data.Others = s.recommend(ctx, p, "Perhaps something of this", 4)
		}
		p.Title, p.Query, p.Data = "Search", query, data
		return nil
	})
}

type productData struct {
	Product     *catalogv1.Product
	Category    *catalogv1.Category
	Paragraphs  []string
	Quote       *shippingv1.QuoteResponse // nil: it is not to be had
	Recommended recommended
	Reviews     *reviewsv1.ListReviewsResponse // nil: they are not to be had
	HasReviews  bool                           // somebody runs them
	Stock       *stockv1.Level                 // nil: nobody knows
}

func (s *Shop) product(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	s.show(w, r, "product", func(ctx context.Context, p *page) error {
		data := &productData{}
		p.Data = data
		var wg sync.WaitGroup
		wg.Go(func() { data.Recommended = s.recommend(ctx, p, "Goes well with it", 4, id) })
		wg.Go(func() { data.Reviews, data.HasReviews = s.reviews(ctx, id) })
		wg.Go(func() { data.Stock = s.stock(ctx, id) })
		defer wg.Wait()

		reply, err := s.Catalog.GetProduct(ctx, &catalogv1.GetProductRequest{Id: id})
		if err != nil {
			return &away{"The catalog", err}
		}
		data.Product = reply.GetProduct()
		data.Paragraphs = strings.Split(data.Product.GetDescription(), "\n\n")
		p.Title, p.Shelf = data.Product.GetName(), data.Product.GetCategory()
		p.priced(data.Product.GetPrice())
		data.Quote = s.quote(ctx, p, data.Product.GetWeightGrams())
		p.after = append(p.after, func() error {
			for _, c := range p.Categories {
				if c.GetId() == p.Shelf {
					data.Category = c
				}
			}
			return nil
		})
		return nil
	})
}

// reviews asks what customers say about a product, if there is somebody to ask.
func (s *Shop) reviews(ctx context.Context, id string) (reply *reviewsv1.ListReviewsResponse, there bool) {
	if !s.HasReviews() { // nobody is worth waiting for
		return nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, softTimeout)
	defer cancel()
	reply, err := s.Reviews.ListReviews(ctx, &reviewsv1.ListReviewsRequest{ProductId: id})
	if err != nil {
		return nil, true
	}
	return reply, true
}

// stock asks how much there is of a product.
func (s *Shop) stock(ctx context.Context, id string) *stockv1.Level {
	ctx, cancel := context.WithTimeout(ctx, softTimeout)
	defer cancel()
	reply, err := s.Stock.GetStock(ctx, &stockv1.GetStockRequest{ProductIds: []string{id}})
	if err != nil || len(reply.GetLevels()) != 1 {
		return nil
	}
	return reply.GetLevels()[0]
}

// quote asks what it costs to ship goods to the visitor's country.
func (s *Shop) quote(ctx context.Context, p *page, grams int32) *shippingv1.QuoteResponse {
	ctx, cancel := context.WithTimeout(ctx, softTimeout)
	defer cancel()
	reply, err := s.Shipping.Quote(ctx, &shippingv1.QuoteRequest{Country: p.Country, WeightGrams: grams})
	if err != nil {
		return nil
	}
	for _, o := range reply.GetOffers() {
		p.priced(o.GetPrice())
	}
	return reply
}

// picture serves a product's picture. Its path changes with it, so it may be kept for ever.
func (s *Shop) picture(w http.ResponseWriter, r *http.Request) {
	id, ok := strings.CutSuffix(r.PathValue("file"), ".svg")
	if !ok {
		http.NotFound(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), hardTimeout)
	defer cancel()
	reply, err := s.Catalog.GetPicture(ctx, &catalogv1.GetPictureRequest{ProductId: id})
	if err != nil {
		code := http.StatusServiceUnavailable
		if status.Code(err) == codes.NotFound {
			code = http.StatusNotFound
		}
		http.Error(w, http.StatusText(code), code)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "image/svg+xml")
	h.Set("Content-Length", strconv.Itoa(len(reply.GetSvg())))
	if reply.GetVersion() == r.PathValue("version") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else { // while replicas of two versions run
		h.Set("Cache-Control", "no-cache")
	}
	if _, err := w.Write(reply.GetSvg()); err != nil {
		s.Logger.Debug("visitor left before the picture came", "error", err)
	}
}

// newKey returns a random name.
func newKey() string { return rand.Text() }
