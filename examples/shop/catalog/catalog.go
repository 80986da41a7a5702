// Package catalog is the service that knows what the shop sells.
package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/shop/catalog/picture"
	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	moneyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/money/v1"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	defaultPage = 24
	maxPage     = 100
	maxBatch    = 100
	maxQuery    = 200 // bytes
)

// Service returns the catalog service.
func Service() *hanse.Service {
	return &hanse.Service{Name: "catalog", Setup: func(_ context.Context, s *hanse.Service) error {
		server, err := New()
		if err != nil {
			return err
		}
		catalogv1.RegisterCatalogServer(s, server)
		return nil
	}}
}

// New returns the implementation. It fails when the assortment contradicts itself.
func New() (catalogv1.CatalogServer, error) {
	s := &server{byID: make(map[string]*item)}
	for _, shelf := range shelves() {
		s.categories = append(s.categories, &catalogv1.Category{
			Id: shelf.id, Name: shelf.name, Summary: shelf.summary, Harbour: shelf.harbour, Products: int32(len(shelf.goods)),
		})
		for _, g := range shelf.goods {
			g.look.Ground = shelf.ground
			svg, err := picture.Draw(g.look)
			if err != nil {
				return nil, fmt.Errorf("picture of %s: %w", g.id, err)
			}
			it := &item{
				picture: &catalogv1.GetPictureResponse{Svg: svg, Version: picture.Version(svg)},
				product: &catalogv1.Product{
					Id: g.id, Name: g.name, Summary: g.summary, Description: g.description, Category: shelf.id,
					Price:       &moneyv1.Money{Currency: "EUR", Minor: g.cents},
					WeightGrams: g.grams, Origin: g.origin, Unit: g.unit, Tags: g.tags, PictureVersion: picture.Version(svg),
				},
			}
			if s.byID[g.id] != nil {
				return nil, fmt.Errorf("two products have the ID %q", g.id)
			}
			s.byID[g.id] = it
			s.items = append(s.items, it)
			s.index.add(it.product, shelf)
		}
	}
	return s, nil
}

// server keeps everything in memory and never changes it: any number of calls may read at once.
type server struct {
	catalogv1.UnimplementedCatalogServer
	categories []*catalogv1.Category
	items      []*item
	byID       map[string]*item
	index      index
}

type item struct {
	product *catalogv1.Product
	picture *catalogv1.GetPictureResponse
}

func (s *server) ListCategories(context.Context, *catalogv1.ListCategoriesRequest) (*catalogv1.ListCategoriesResponse, error) {
	return &catalogv1.ListCategoriesResponse{Categories: clones(s.categories)}, nil
}

func (s *server) ListProducts(_ context.Context, req *catalogv1.ListProductsRequest) (*catalogv1.ListProductsResponse, error) {
	size, err := pageSize("page_size", req.GetPageSize())
	if err != nil {
		return nil, err
	}
	start := 0
	if token := req.GetPageToken(); token != "" {
		if start, err = strconv.Atoi(token); err != nil || start < 0 {
			return nil, invalid("page_token", "is not one that this service gave")
		}
	}
	products, err := s.shelf(req.GetCategory())
	if err != nil {
		return nil, err
	}
	sortProducts(products, req.GetSort())

	reply := &catalogv1.ListProductsResponse{Total: int32(len(products))}
	if start < len(products) {
		end := min(start+size, len(products))
		reply.Products = clones(products[start:end])
		if end < len(products) {
			reply.NextPageToken = strconv.Itoa(end)
		}
	}
	return reply, nil
}

// shelf returns the products of a category in a slice of its own, all of them for "".
func (s *server) shelf(category string) ([]*catalogv1.Product, error) {
	known := category == ""
	for _, c := range s.categories {
		known = known || c.GetId() == category
	}
	if !known {
		return nil, status.Errorf(codes.NotFound, "no category %q", category)
	}
	var products []*catalogv1.Product
	for _, it := range s.items {
		if category == "" || it.product.GetCategory() == category {
			products = append(products, it.product)
		}
	}
	return products, nil
}

func sortProducts(products []*catalogv1.Product, by catalogv1.Sort) {
	price := func(a, b *catalogv1.Product) int {
		return cmp.Compare(a.GetPrice().GetMinor(), b.GetPrice().GetMinor())
	}
	switch by {
	case catalogv1.Sort_SORT_PRICE_ASCENDING:
		slices.SortStableFunc(products, price)
	case catalogv1.Sort_SORT_PRICE_DESCENDING:
		slices.SortStableFunc(products, func(a, b *catalogv1.Product) int { return price(b, a) })
	case catalogv1.Sort_SORT_NAME:
		slices.SortStableFunc(products, func(a, b *catalogv1.Product) int { return strings.Compare(a.GetName(), b.GetName()) })
	}
}

func (s *server) SearchProducts(_ context.Context, req *catalogv1.SearchProductsRequest) (*catalogv1.SearchProductsResponse, error) {
	if len(req.GetQuery()) > maxQuery {
		return nil, invalid("query", fmt.Sprintf("has %d bytes, at most %d", len(req.GetQuery()), maxQuery))
	}
	limit, err := pageSize("limit", req.GetLimit())
	if err != nil {
		return nil, err
	}
	found := s.index.search(req.GetQuery())
	return &catalogv1.SearchProductsResponse{
		Products: clones(found[:min(limit, len(found))]),
		Total:    int32(len(found)),
	}, nil
}

func (s *server) GetProduct(_ context.Context, req *catalogv1.GetProductRequest) (*catalogv1.GetProductResponse, error) {
	it, ok := s.byID[req.GetId()]
	if !ok {
		return nil, unknownProduct(req.GetId())
	}
	return &catalogv1.GetProductResponse{Product: proto.CloneOf(it.product)}, nil
}

func (s *server) BatchGetProducts(_ context.Context, req *catalogv1.BatchGetProductsRequest) (*catalogv1.BatchGetProductsResponse, error) {
	if n := len(req.GetIds()); n > maxBatch {
		return nil, invalid("ids", fmt.Sprintf("has %d entries, at most %d", n, maxBatch))
	}
	reply := &catalogv1.BatchGetProductsResponse{}
	for _, id := range req.GetIds() {
		if it, ok := s.byID[id]; ok {
			reply.Products = append(reply.Products, proto.CloneOf(it.product))
		} else {
			reply.Missing = append(reply.Missing, id)
		}
	}
	return reply, nil
}

func (s *server) GetPicture(_ context.Context, req *catalogv1.GetPictureRequest) (*catalogv1.GetPictureResponse, error) {
	it, ok := s.byID[req.GetProductId()]
	if !ok {
		return nil, unknownProduct(req.GetProductId())
	}
	return proto.CloneOf(it.picture), nil
}

func (s *server) ShowPicture(_ context.Context, req *catalogv1.GetPictureRequest) (*httpbody.HttpBody, error) {
	it, ok := s.byID[req.GetProductId()]
	if !ok {
		return nil, unknownProduct(req.GetProductId())
	}
	return &httpbody.HttpBody{ContentType: "image/svg+xml", Data: slices.Clone(it.picture.GetSvg())}, nil
}

func pageSize(field string, n int32) (int, error) {
	switch {
	case n < 0 || n > maxPage:
		return 0, invalid(field, fmt.Sprintf("is %d, must be from 0 to %d", n, maxPage))
	case n == 0:
		return defaultPage, nil
	}
	return int(n), nil
}

func unknownProduct(id string) error {
	st, err := status.Newf(codes.NotFound, "no product %q", id).WithDetails(&errdetails.ResourceInfo{ResourceType: "product", ResourceName: id})
	if err != nil {
		return err
	}
	return st.Err()
}

func invalid(field, problem string) error {
	st, err := status.Newf(codes.InvalidArgument, "%s %s", field, problem).WithDetails(&errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: problem}},
	})
	if err != nil {
		return err
	}
	return st.Err()
}

// clones copies messages: a reply belongs to whoever gets it.
func clones[M proto.Message](in []M) []M {
	out := make([]M, len(in))
	for i, m := range in {
		out[i] = proto.CloneOf(m)
	}
	return out
}
