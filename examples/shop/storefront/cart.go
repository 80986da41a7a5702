package storefront

import (
	"context"
	"net/http"
	"strconv"
	"sync"

	"github.com/hanse-go/hanse/examples/shop/money"
	"github.com/hanse-go/hanse/examples/shop/problem"
	cartv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/cart/v1"
	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	shippingv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/shipping/v1"
	"github.com/hanse-go/hanse/examples/shop/served"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type cartData struct {
	Lines       []*cartLine
	Gone        []string // IDs in the cart that are no longer sold
	Goods       money.Amount
	Quote       *shippingv1.QuoteResponse // nil: it is not to be had
	Recommended recommended
}

type cartLine struct {
	Product  *catalogv1.Product
	Quantity int32
	Sum      money.Amount
}

func (s *Shop) cart(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, "cart", func(ctx context.Context, p *page) error {
		data := &cartData{}
		p.Title, p.Data = "Cart", data
		cart, err := p.getCart()
		if err != nil {
			return &away{"The cart", err}
		}
		quantities := make(map[string]int32)
		var ids []string
		for _, item := range cart.GetItems() {
			quantities[item.GetProductId()] = item.GetQuantity()
			ids = append(ids, item.GetProductId())
		}
		var wg sync.WaitGroup
		wg.Go(func() { data.Recommended = s.recommend(ctx, p, "Before you go", 4, ids...) })
		defer wg.Wait()
		if len(ids) == 0 {
			return nil
		}
		reply, err := s.Catalog.BatchGetProducts(ctx, &catalogv1.BatchGetProductsRequest{Ids: ids})
		if err != nil {
			return &away{"The catalog", err}
		}
		data.Gone = reply.GetMissing()
		p.pricedProducts(reply.GetProducts())
		grams := int32(0)
		for _, product := range reply.GetProducts() {
			n := quantities[product.GetId()]
			grams += product.GetWeightGrams() * n
			data.Lines = append(data.Lines, &cartLine{Product: product, Quantity: n})
		}
		if grams > 0 {
			data.Quote = s.quote(ctx, p, grams)
		}
		p.after = append(p.after, func() error { return data.add(p) })
		return nil
	})
}

// add adds up the lines, in the page's currency.
func (d *cartData) add(p *page) error {
	for _, line := range d.Lines {
		var err error
		if line.Sum, err = p.Amount(line.Product.GetPrice()).Times(int64(line.Quantity)); err != nil {
			return err
		}
		if d.Goods, err = d.Goods.Add(line.Sum); err != nil {
			return err
		}
	}
	return nil
}

// addToCart takes the form of a product.
func (s *Shop) addToCart(w http.ResponseWriter, r *http.Request) {
	s.changeCart(w, r, back, func(ctx context.Context, session string) (flash, error) {
		n, _ := strconv.Atoi(r.PostFormValue("quantity")) // the cart refuses what is no quantity
		request := r.PostFormValue("request_id")
		if request == "" {
			request = newKey()
		}
		_, err := s.Carts.AddItem(ctx, &cartv1.AddItemRequest{
			Session:   session,
			Item:      &cartv1.Item{ProductId: r.PostFormValue("product"), Quantity: int32(max(min(n, 1000), -1))},
			RequestId: request,
		})
		name := r.PostFormValue("name")
		if name == "" || len(name) > 200 {
			name = "That"
		}
		return flash{Kind: "good", Text: name + " is in your cart.", Link: "/cart", Label: "To the cart"}, err
	})
}

// changeLine takes the forms of a line of the cart.
func (s *Shop) changeLine(w http.ResponseWriter, r *http.Request) {
	s.changeCart(w, r, func(*http.Request) string { return "/cart" }, func(ctx context.Context, session string) (flash, error) {
		n, err := strconv.Atoi(r.PostFormValue("quantity"))
		if err != nil {
			return flash{}, problem.Invalid(problem.Field{Name: "quantity", Problem: "is not a number"})
		}
		_, err = s.Carts.SetItem(ctx, &cartv1.SetItemRequest{
			Session: session,
			Item:    &cartv1.Item{ProductId: r.PostFormValue("product"), Quantity: int32(max(min(n, 1000), -1))},
		})
		return flash{Kind: "good", Text: "Your cart is up to date."}, err
	})
}

// changeCart does something to the cart and sends the visitor on to where the form says. A refusal is a message on the next page.
func (s *Shop) changeCart(w http.ResponseWriter, r *http.Request, to func(*http.Request) string, change func(ctx context.Context, session string) (flash, error)) {
	if !readForm(w, r) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), hardTimeout)
	defer cancel()
	ctx, log := served.Begin(ctx)
	f, err := change(ctx, openSession(w, r))
	switch c := status.Code(err); {
	case err == nil:
	case c == codes.InvalidArgument, c == codes.FailedPrecondition:
		f = flash{Kind: "bad", Text: sentence(status.Convert(err).Message())}
	default:
		s.show(w, r, "trouble", func(context.Context, *page) error { return &away{"The cart", err} })
		return
	}
	redirect(w, r, to(r), f, log)
}

// settings takes the choice of a currency or country.
func (s *Shop) settings(w http.ResponseWriter, r *http.Request) {
	if !readForm(w, r) {
		return
	}
	for field, cookie := range map[string]string{"currency": currencyCookie, "country": countryCookie} {
		if v := r.PostFormValue(field); codePattern.MatchString(v) {
			setCookie(w, r, cookie, v, keepSession)
		}
	}
	http.Redirect(w, r, back(r), http.StatusSeeOther)
}

// readForm reads the form of a request, or answers that it cannot.
func readForm(w http.ResponseWriter, r *http.Request) bool {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "The form could not be read: "+err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}
