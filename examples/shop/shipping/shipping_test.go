package shipping_test

import (
	"context"
	"fmt"
	"regexp"
	"testing"

	shippingv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/shipping/v1"
	"github.com/hanse-go/hanse/examples/shop/shipping"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func quote(country string, grams int32) (*shippingv1.QuoteResponse, error) {
	return shipping.New().Quote(context.Background(), &shippingv1.QuoteRequest{Country: country, WeightGrams: grams})
}

func TestQuote(t *testing.T) {
	for _, test := range []struct {
		country           string
		grams             int32
		standard, express int64
		parcels           int32
	}{
		{"DE", 1, 490, 1190, 1},
		{"DE", 1000, 490, 1190, 1},
		{"DE", 1001, 590, 1290, 1},
		{"DE", 31500, 1690, 2890, 1},
		{"DE", 31501, 1690 + 490, 2890 + 1190, 2},
		{"DE", 63000, 2 * 1690, 2 * 2890, 2},
		{"FR", 4000, 1390, 2790, 1},
		{"SE", 700, 1290, 2690, 1},
		{"US", 9000, 7490, 12900, 1},
	} {
		got, err := quote(test.country, test.grams)
		if err != nil {
			t.Errorf("%d g to %s: %v", test.grams, test.country, err)
			continue
		}
		o := got.GetOffers()
		if len(o) != 2 || o[0].GetPrice().GetMinor() != test.standard || o[1].GetPrice().GetMinor() != test.express || got.GetParcels() != test.parcels {
			t.Errorf("%d g to %s: %v", test.grams, test.country, got)
		}
	}
	for name, err := range map[string]error{
		"unknown country": second(quote("XX", 1)),
		"no country":      second(quote("", 1)),
		"no weight":       second(quote("DE", 0)),
		"negative":        second(quote("DE", -1)),
		"a shipload":      second(quote("DE", 500_001)),
	} {
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v, want InvalidArgument", name, err)
		}
	}
}

// TestHeavierIsNotCheaper goes through all countries and weights.
func TestHeavierIsNotCheaper(t *testing.T) {
	list, err := shipping.New().ListDestinations(context.Background(), &shippingv1.ListDestinationsRequest{})
	if err != nil || len(list.GetDestinations()) < 30 {
		t.Fatalf("%d destinations, %v", len(list.GetDestinations()), err)
	}
	seen := make(map[string]bool)
	for _, d := range list.GetDestinations() {
		if seen[d.GetCountry()] {
			t.Errorf("%s is there twice", d.GetCountry())
		}
		seen[d.GetCountry()] = true
		last := int64(0)
		for grams := int32(250); grams < 70_000; grams += 250 {
			got, err := quote(d.GetCountry(), grams)
			if err != nil {
				t.Fatal(err)
			}
			standard, express := got.GetOffers()[0], got.GetOffers()[1]
			if standard.GetPrice().GetMinor() < last || express.GetPrice().GetMinor() <= standard.GetPrice().GetMinor() ||
				express.GetDaysMax() > standard.GetDaysMax() {
				t.Fatalf("%d g to %s: %v after %d", grams, d.GetCountry(), got, last)
			}
			last = standard.GetPrice().GetMinor()
		}
	}
}

// TestTrackingIDs holds them to the S10 standard: a check digit by the published weights, and the same ID for the same order.
func TestTrackingIDs(t *testing.T) {
	form := regexp.MustCompile(`^KT(\d{8})(\d)DE$`)
	seen := make(map[string]bool)
	for i := range 2000 {
		req := &shippingv1.CreateShipmentRequest{OrderId: fmt.Sprint("order-", i), Country: "DE"}
		first, err := shipping.New().CreateShipment(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		again, err := shipping.New().CreateShipment(context.Background(), req)
		if err != nil || again.GetTrackingId() != first.GetTrackingId() {
			t.Fatalf("%s: %v and %v, %v", req.GetOrderId(), first, again, err)
		}
		m := form.FindStringSubmatch(first.GetTrackingId())
		if m == nil {
			t.Fatalf("tracking ID %q", first.GetTrackingId())
		}
		sum := 0
		for k, w := range []int{8, 6, 4, 2, 3, 5, 9, 7} {
			sum += w * int(m[1][k]-'0')
		}
		want := 11 - sum%11
		if want == 10 {
			want = 0
		} else if want == 11 {
			want = 5
		}
		if m[2] != fmt.Sprint(want) {
			t.Errorf("%s: check digit, want %d", first.GetTrackingId(), want)
		}
		seen[first.GetTrackingId()] = true
	}
	if len(seen) < 1999 {
		t.Errorf("2000 orders have %d tracking IDs", len(seen))
	}
	for _, req := range []*shippingv1.CreateShipmentRequest{{Country: "DE"}, {OrderId: "x"}} {
		if _, err := shipping.New().CreateShipment(context.Background(), req); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v, want InvalidArgument", req, err)
		}
	}
}

func second(_ *shippingv1.QuoteResponse, err error) error { return err }
