package catalog_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/examples/shop/catalog"
	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func newServer(t *testing.T) catalogv1.CatalogServer {
	t.Helper()
	s, err := catalog.New()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func all(t *testing.T, s catalogv1.CatalogServer) []*catalogv1.Product {
	t.Helper()
	reply, err := s.ListProducts(context.Background(), &catalogv1.ListProductsRequest{PageSize: 100})
	if err != nil {
		t.Fatal(err)
	}
	return reply.GetProducts()
}

func TestProductsAreComplete(t *testing.T) {
	s := newServer(t)
	products := all(t, s)
	if len(products) < 60 {
		t.Errorf("%d products, want at least 60", len(products))
	}
	id := regexp.MustCompile(`^[a-z][a-z-]*[a-z]$`)
	names := make(map[string]bool)
	for _, p := range products {
		switch {
		case !id.MatchString(p.GetId()):
			t.Errorf("ID %q is not fit for a URL", p.GetId())
		case names[p.GetName()]:
			t.Errorf("two products are called %q", p.GetName())
		case p.GetName() == "", p.GetSummary() == "", p.GetDescription() == "", p.GetOrigin() == "", p.GetUnit() == "", len(p.GetTags()) == 0:
			t.Errorf("%s lacks a text: %v", p.GetId(), p)
		case p.GetPrice().GetMinor() <= 0, p.GetPrice().GetCurrency() != "EUR", p.GetWeightGrams() <= 0:
			t.Errorf("%s lacks a price or weight: %v", p.GetId(), p)
		}
		names[p.GetName()] = true
	}
}

// TestPicturesAreWellFormed reads every picture as XML, and looks for what a strict content security policy would refuse and for
// pictures that are the same.
func TestPicturesAreWellFormed(t *testing.T) {
	s := newServer(t)
	drawn := make(map[string]string)
	for _, p := range all(t, s) {
		reply, err := s.GetPicture(context.Background(), &catalogv1.GetPictureRequest{ProductId: p.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		svg := reply.GetSvg()
		if other, ok := drawn[string(svg)]; ok {
			t.Errorf("%s and %s have the same picture", p.GetId(), other)
		}
		drawn[string(svg)] = p.GetId()
		if reply.GetVersion() != p.GetPictureVersion() {
			t.Errorf("%s: picture version %q, product says %q", p.GetId(), reply.GetVersion(), p.GetPictureVersion())
		}
		if bytes.Contains(svg, []byte("%!")) {
			t.Errorf("%s: a number was not formatted: %s", p.GetId(), svg)
		}
		if len(svg) > 32<<10 {
			t.Errorf("%s: the picture has %d bytes", p.GetId(), len(svg))
		}
		decoder := xml.NewDecoder(bytes.NewReader(svg))
		for elements := 0; ; elements++ {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				if elements < 20 {
					t.Errorf("%s: only %d elements", p.GetId(), elements)
				}
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", p.GetId(), err)
			}
			element, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			if elements == 0 && element.Name.Local != "svg" {
				t.Errorf("%s: begins with <%s>", p.GetId(), element.Name.Local)
			}
			for _, a := range element.Attr {
				if a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on") || a.Value == "" && a.Name.Local != "transform" {
					t.Errorf("%s: <%s %s=%q>", p.GetId(), element.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
	}
}

func TestListProductsPages(t *testing.T) {
	s := newServer(t)
	want := all(t, s)
	var got []*catalogv1.Product
	req := &catalogv1.ListProductsRequest{PageSize: 7}
	for {
		reply, err := s.ListProducts(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		if int(reply.GetTotal()) != len(want) {
			t.Fatalf("total %d, want %d", reply.GetTotal(), len(want))
		}
		got = append(got, reply.GetProducts()...)
		if req.PageToken = reply.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d products in pages, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i].GetId() != want[i].GetId() {
			t.Errorf("product %d is %s in pages and %s at once", i, got[i].GetId(), want[i].GetId())
		}
	}
}

func TestListProductsSortsACategory(t *testing.T) {
	s := newServer(t)
	reply, err := s.ListProducts(context.Background(), &catalogv1.ListProductsRequest{Category: "tea", Sort: catalogv1.Sort_SORT_PRICE_DESCENDING})
	if err != nil {
		t.Fatal(err)
	}
	if len(reply.GetProducts()) < 6 {
		t.Fatalf("%d teas", len(reply.GetProducts()))
	}
	last := int64(1 << 62)
	for _, p := range reply.GetProducts() {
		if p.GetCategory() != "tea" || p.GetPrice().GetMinor() > last {
			t.Errorf("%s of %s for %d after %d", p.GetId(), p.GetCategory(), p.GetPrice().GetMinor(), last)
		}
		last = p.GetPrice().GetMinor()
	}
}

func TestCategoriesCountTheirProducts(t *testing.T) {
	s := newServer(t)
	reply, err := s.ListCategories(context.Background(), &catalogv1.ListCategoriesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, c := range reply.GetCategories() {
		sum += int(c.GetProducts())
	}
	if n := len(all(t, s)); sum != n || len(reply.GetCategories()) < 6 {
		t.Errorf("%d categories with %d products, want %d", len(reply.GetCategories()), sum, n)
	}
}

func TestSearch(t *testing.T) {
	s := newServer(t)
	for _, test := range []struct {
		query, first string
		atLeast      int
	}{
		{"east frisian", "east-frisian-blend", 1},
		{"compass", "pocket-compass", 1},
		{"COMPASS", "pocket-compass", 1},
		{"mugs", "kontor-mug", 2},
		{"lübeck", "luebeck-marzipan", 4},
		{"Luebeck", "luebeck-marzipan", 4},
		{"lubeck", "luebeck-marzipan", 4},
		{"amber ring", "amber-ring", 1},
		{"blank", "flanders-blanket", 2},
		{"amber submarine", "", 0},
		{"  ,;", "", 0},
		{"", "", 0},
	} {
		reply, err := s.SearchProducts(context.Background(), &catalogv1.SearchProductsRequest{Query: test.query})
		if err != nil {
			t.Fatal(err)
		}
		found := reply.GetProducts()
		if len(found) < test.atLeast || int(reply.GetTotal()) < len(found) {
			t.Errorf("%q: %d found of %d, want at least %d", test.query, len(found), reply.GetTotal(), test.atLeast)
			continue
		}
		if test.first == "" {
			if len(found) != 0 {
				t.Errorf("%q: found %s, want nothing", test.query, found[0].GetId())
			}
		} else if found[0].GetId() != test.first {
			t.Errorf("%q: first is %s, want %s", test.query, found[0].GetId(), test.first)
		}
	}
}

func TestBatchKeepsOrder(t *testing.T) {
	s := newServer(t)
	reply, err := s.BatchGetProducts(context.Background(), &catalogv1.BatchGetProductsRequest{Ids: []string{"ships-bell", "nothing", "kontor-mug"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(reply.GetProducts()) != 2 || reply.GetProducts()[0].GetId() != "ships-bell" || reply.GetProducts()[1].GetId() != "kontor-mug" ||
		len(reply.GetMissing()) != 1 || reply.GetMissing()[0] != "nothing" {
		t.Errorf("got %v", reply)
	}
}

func TestRefusals(t *testing.T) {
	s, ctx := newServer(t), context.Background()
	for name, test := range map[string]struct {
		call func() error
		want codes.Code
	}{
		"unknown product":  {func() error { _, err := s.GetProduct(ctx, &catalogv1.GetProductRequest{Id: "x"}); return err }, codes.NotFound},
		"unknown picture":  {func() error { _, err := s.GetPicture(ctx, &catalogv1.GetPictureRequest{}); return err }, codes.NotFound},
		"unknown drawing":  {func() error { _, err := s.ShowPicture(ctx, &catalogv1.GetPictureRequest{}); return err }, codes.NotFound},
		"unknown category": {func() error { _, err := s.ListProducts(ctx, &catalogv1.ListProductsRequest{Category: "x"}); return err }, codes.NotFound},
		"page too large":   {func() error { _, err := s.ListProducts(ctx, &catalogv1.ListProductsRequest{PageSize: 101}); return err }, codes.InvalidArgument},
		"negative page":    {func() error { _, err := s.ListProducts(ctx, &catalogv1.ListProductsRequest{PageSize: -1}); return err }, codes.InvalidArgument},
		"foreign token": {func() error {
			_, err := s.ListProducts(ctx, &catalogv1.ListProductsRequest{PageToken: "x"})
			return err
		}, codes.InvalidArgument},
		"long query": {func() error {
			_, err := s.SearchProducts(ctx, &catalogv1.SearchProductsRequest{Query: strings.Repeat("a", 201)})
			return err
		}, codes.InvalidArgument},
		"large batch": {func() error {
			_, err := s.BatchGetProducts(ctx, &catalogv1.BatchGetProductsRequest{Ids: make([]string, 101)})
			return err
		}, codes.InvalidArgument},
	} {
		if err := test.call(); status.Code(err) != test.want {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// TestRepliesAreTheCallersOwn changes a reply and looks whether the next one shows it.
func TestRepliesAreTheCallersOwn(t *testing.T) {
	s := newServer(t)
	all(t, s)[0].Name = "spoiled"
	if all(t, s)[0].GetName() == "spoiled" {
		t.Error("a changed reply shows in the next")
	}
}
