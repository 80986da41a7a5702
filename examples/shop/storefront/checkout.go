package storefront

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/examples/shop/problem"
	checkoutv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/checkout/v1"
	moneyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/money/v1"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	paymentv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/payment/v1"
	shippingv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/shipping/v1"
	"github.com/hanse-go/hanse/examples/shop/served"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// placeTimeout is how long a purchase may take: checkout asks half a dozen services, and undoes what fails.
const placeTimeout = 12 * time.Second

type checkoutData struct {
	Key          string // of this purchase
	Bill         *checkoutv1.PreviewResponse
	Express      bool
	Destinations []*shippingv1.Destination
	Form         checkoutForm
	Wrong        map[string]string // field → what is wrong with it
	Error        string            // of the whole form
}

// checkoutForm is what the visitor wrote. Card numbers and codes are not written back into the page.
type checkoutForm struct {
	Name, Email, Street, Postcode, City string
	Holder, Expiry                      string
}

// reachable are the countries to choose from while shipping does not tell: the flat rate goes to these.
var reachable = []*shippingv1.Destination{
	{Country: "AT", Name: "Austria"}, {Country: "BE", Name: "Belgium"}, {Country: "DK", Name: "Denmark"}, {Country: "FR", Name: "France"},
	{Country: "DE", Name: "Germany"}, {Country: "NL", Name: "Netherlands"}, {Country: "SE", Name: "Sweden"}, {Country: "GB", Name: "United Kingdom"},
	{Country: "US", Name: "United States"},
}

// countryName is the name of a country that orders go to, or its code.
func countryName(code string) string {
	for _, d := range reachable {
		if d.GetCountry() == code {
			return d.GetName()
		}
	}
	return code
}

func (s *Shop) checkout(w http.ResponseWriter, r *http.Request) {
	if country := r.FormValue("country"); codePattern.MatchString(country) {
		setCookie(w, r, countryCookie, country, keepSession)

		s.showCheckout(w, r, http.StatusOK, country, &checkoutData{Key: newKey(), Express: r.FormValue("speed") == "express"})
		return
	}
	s.showCheckout(w, r, http.StatusOK, preference(r, countryCookie, "DE"), &checkoutData{Key: newKey()})
}

func (s *Shop) showCheckout(w http.ResponseWriter, r *http.Request, code int, country string, data *checkoutData) {
	s.showStatus(w, r, code, "checkout", func(ctx context.Context, p *page) error {
		p.Title, p.Data, p.Country = "Checkout", data, country
		var wg sync.WaitGroup
		wg.Go(func() { data.Destinations = s.destinations(ctx) })
		defer wg.Wait()
		if cart, err := p.getCart(); err != nil {
			return &away{"The cart", err}
		} else if len(cart.GetItems()) == 0 {
			return nil // the page says so
		}
		bill, err := s.preview(ctx, p, data.Express)
		if err != nil {
			return &away{"Checkout", err}
		}
		data.Bill = bill
		p.Currency = bill.GetTotal().GetCurrency()
		p.wanted = p.Currency // nothing is left to convert
		if bill.GetFlatRate() {
			p.missing("Shipping quotes are not to be had at the moment. We charge a flat rate, whatever the parcel weighs.")
		}
		return nil
	})
}

// preview asks for the bill in the visitor's currency, and in euros when that cannot be had.
func (s *Shop) preview(ctx context.Context, p *page, express bool) (*checkoutv1.PreviewResponse, error) {
	req := &checkoutv1.PreviewRequest{Session: p.session, Currency: p.wanted, Country: p.Country, Speed: speed(express)}
	if p.wanted == home {
		return s.Checkout.Preview(ctx, req)
	}
	soft, cancel := context.WithTimeout(ctx, 2*softTimeout)
	defer cancel()
	bill, err := s.Checkout.Preview(soft, req)
	if err == nil || ctx.Err() != nil || !problem.Uncertain(err) {
		return bill, err
	}
	p.missing("Prices are in euros: " + p.wanted + " is not to be had at the moment.")
	req.Currency = home
	return s.Checkout.Preview(ctx, req)
}

func (s *Shop) destinations(ctx context.Context) []*shippingv1.Destination {
	ctx, cancel := context.WithTimeout(ctx, softTimeout)
	defer cancel()
	reply, err := s.Shipping.ListDestinations(ctx, &shippingv1.ListDestinationsRequest{})
	if err != nil {
		return reachable
	}
	return reply.GetDestinations()
}

// placeOrder takes the form of the checkout.
func (s *Shop) placeOrder(w http.ResponseWriter, r *http.Request) {
	if !readForm(w, r) {
		return
	}
	id := session(r)
	if id == "" {
		http.Redirect(w, r, "/cart", http.StatusSeeOther)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), placeTimeout)
	defer cancel()
	ctx, log := served.Begin(ctx)
	field := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }

	total, _ := strconv.ParseInt(field("total"), 10, 64) // 0 expects nothing
	month, year := parseExpiry(field("expiry"))
	req := &checkoutv1.PlaceOrderRequest{
		Key: field("key"), Session: id, Currency: field("currency"), Speed: speed(field("speed") == "express"),
		Address: &ordersv1.Address{
			Name: field("name"), Email: field("email"), Street: field("street"),
			Postcode: field("postcode"), City: field("city"), Country: field("country"),
		},
		Card: &paymentv1.Card{
			Number: field("number"), Code: field("code"), Holder: field("holder"), ExpiryMonth: month, ExpiryYear: year,
		},
	}
	if total > 0 {
		req.ExpectedTotal = &moneyv1.Money{Currency: field("currency"), Minor: total}
	}
	reply, err := s.Checkout.PlaceOrder(ctx, req)
	if err == nil {
		openSession(w, r)
		redirect(w, r, "/orders/"+reply.GetOrder().GetId(), flash{Kind: "good", Text: "Thank you. Your order is with us."}, log)
		return
	}

	data := &checkoutData{
		Key: newKey(), Express: req.GetSpeed() == shippingv1.Speed_SPEED_EXPRESS, Wrong: make(map[string]string),
		Form: checkoutForm{
			Name: req.Address.Name, Email: req.Address.Email, Street: req.Address.Street, Postcode: req.Address.Postcode, City: req.Address.City,
			Holder: req.Card.Holder, Expiry: field("expiry"),
		},
	}
	code := http.StatusUnprocessableEntity
	switch c := status.Code(err); {
	case c == codes.InvalidArgument && len(problem.Fields(err)) > 0:
		data.Error = "Please look at the fields below again. Nothing was charged."
		for _, f := range problem.Fields(err) {
			data.Wrong[f.Name] = "This " + f.Problem + "."
		}
	case c == codes.InvalidArgument, c == codes.FailedPrecondition:
		data.Error = sentence(status.Convert(err).Message()) + " Nothing was charged."
	default:
		// The purchase may have gone through: the same key, sent again, finds out and charges nothing twice.
		s.Logger.Error("purchase failed", "error", err)
		data.Key, code = req.GetKey(), http.StatusServiceUnavailable
		data.Error = "Checkout does not answer as it should. Please try again in a moment: you will not be charged twice."
	}
	s.showCheckout(w, r, code, req.GetAddress().GetCountry(), data)
}

func speed(express bool) shippingv1.Speed {
	if express {
		return shippingv1.Speed_SPEED_EXPRESS
	}
	return shippingv1.Speed_SPEED_STANDARD
}

// parseExpiry reads "04/27", "4 / 2027" and the like. What it cannot read is 0, which no card has.
func parseExpiry(s string) (month, year int32) {
	m, y, ok := strings.Cut(s, "/")
	if !ok {
		return 0, 0
	}
	mm, err1 := strconv.ParseInt(strings.TrimSpace(m), 10, 32)
	yy, err2 := strconv.ParseInt(strings.TrimSpace(y), 10, 32)
	if err1 != nil || err2 != nil {
		return 0, 0
	}
	if yy >= 0 && yy < 100 {
		yy += 2000
	}
	return int32(mm), int32(yy)
}
