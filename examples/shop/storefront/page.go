package storefront

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hanse-go/hanse/examples/shop/money"
	"github.com/hanse-go/hanse/examples/shop/problem"
	cartv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/cart/v1"
	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	currencyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/currency/v1"
	moneyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/money/v1"
	"github.com/hanse-go/hanse/examples/shop/served"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// softTimeout is how long a page waits for what it can do without.
	softTimeout = 500 * time.Millisecond

	// hardTimeout is how long it waits for what it cannot do without.
	hardTimeout = 3 * time.Second

	home = "EUR" // currency of the catalog
)

// page is what every template gets.
type page struct {
	Title    string
	Here     string // path and query, to come back to
	Query    string // searched for
	Shelf    string // ID of the category that is shown
	Flash    *flash
	Notices  []string // what is missing, and what that means
	Served   strip
	Previous *strip // of the form that led here
	Data     any    // of the page's own

	Categories []*catalogv1.Category
	Currencies []*currencyv1.Currency
	RatesOf    string // source and day of the rates
	Currency   string // that prices are shown in
	Country    string
	InCart     int // pieces; -1 is not known

	session string
	wanted  string // currency that was asked for
	getCart func() (*cartv1.Cart, error)

	mu      sync.Mutex
	amounts []*moneyv1.Money // to be shown
	rates   map[int64]money.Amount
	after   []func() error // run when the amounts are converted
}

// away is a service that a page cannot do without and that does not answer.
type away struct {
	what string // "The catalog"
	err  error
}

func (a *away) Error() string { return a.what + " is away: " + a.err.Error() }
func (a *away) Unwrap() error { return a.err }

// show makes a page. It asks for what all pages have while fill asks for what this one has, converts the prices of both and renders the
// template.
func (s *Shop) show(w http.ResponseWriter, r *http.Request, template string, fill func(ctx context.Context, p *page) error) {
	s.showStatus(w, r, http.StatusOK, template, fill)
}

func (s *Shop) showStatus(w http.ResponseWriter, r *http.Request, code int, template string, fill func(ctx context.Context, p *page) error) {
	ctx, cancel := context.WithTimeout(r.Context(), hardTimeout)
	defer cancel()
	ctx, log := served.Begin(ctx)
	p := s.newPage(ctx, w, r)

	var err error
	var wg sync.WaitGroup
	wg.Go(func() { s.furnish(ctx, p) })
	wg.Go(func() { err = fill(ctx, p) })
	wg.Wait()
	if err == nil {
		s.convert(ctx, p)
		for _, f := range p.after {
			if err = f(); err != nil {
				break
			}
		}
	}
	if err != nil {
		code, template = s.explain(r, p, err)
	}
	p.Served = newStrip(r.Method+" "+r.URL.Path, log.Calls(), log.Took())
	if p.Flash != nil && len(p.Flash.Calls) > 0 {
		previous := newStrip(p.Flash.Did, p.Flash.Calls, p.Flash.Took)
		p.Previous = &previous
	}
	s.render(w, code, template, p)
}

func (s *Shop) newPage(ctx context.Context, w http.ResponseWriter, r *http.Request) *page {
	p := &page{
		Here:     r.URL.RequestURI(),
		Flash:    takeFlash(w, r),
		Currency: home,
		Country:  preference(r, countryCookie, "DE"),
		session:  session(r),
		wanted:   preference(r, currencyCookie, home),
	}
	p.getCart = sync.OnceValues(func() (*cartv1.Cart, error) {
		if p.session == "" {
			return &cartv1.Cart{}, nil // no session, no cart: nothing to ask
		}
		reply, err := s.Carts.GetCart(ctx, &cartv1.GetCartRequest{Session: p.session})
		return reply.GetCart(), err
	})
	return p
}

// furnish asks for what stands around every page. All of it can be missing.
func (s *Shop) furnish(ctx context.Context, p *page) {
	ctx, cancel := context.WithTimeout(ctx, softTimeout)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		reply, err := s.Catalog.ListCategories(ctx, &catalogv1.ListCategoriesRequest{})
		if err == nil {
			p.Categories = reply.GetCategories()
		}
	})
	wg.Go(func() {
		reply, err := s.Currencies.ListCurrencies(ctx, &currencyv1.ListCurrenciesRequest{})
		if err == nil {
			p.Currencies = reply.GetCurrencies()
			p.RatesOf = reply.GetSource() + ", " + reply.GetDate()
		}
	})
	wg.Go(func() {
		p.InCart = -1
		done := make(chan struct{})
		go func() { // the page's own wish for the cart may wait longer than the number beside its picture
			defer close(done)
			p.getCart()
		}()
		select {
		case <-done:
			if cart, err := p.getCart(); err == nil {
				p.InCart = int(pieces(cart))
			}
		case <-ctx.Done():
		}
	})
	wg.Wait()
}

// priced tells the page of amounts that it is going to show. It may be called concurrently.
func (p *page) priced(amounts ...*moneyv1.Money) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.amounts = append(p.amounts, amounts...)
}

func (p *page) pricedProducts(products []*catalogv1.Product) {
	for _, product := range products {
		p.priced(product.GetPrice())
	}
}

// missing tells the page that something is not on it. It may be called concurrently.
func (p *page) missing(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Notices = append(p.Notices, what)
}

// convert converts all amounts of a page in one call. Without currencies the page shows euros.
func (s *Shop) convert(ctx context.Context, p *page) {
	if p.wanted == home {
		if p.Currencies == nil {
			p.missing("Other currencies are not to be had at the moment: prices are in euros.")
		}
		return
	}
	if p.Currencies == nil { // it did not answer a moment ago; who would wait for it again?
		p.missing("Prices are in euros: " + p.wanted + " is not to be had at the moment.")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, softTimeout)
	defer cancel()
	reply, err := s.Currencies.Convert(ctx, &currencyv1.ConvertRequest{Amounts: p.amounts, To: p.wanted})
	if err != nil || len(reply.GetAmounts()) != len(p.amounts) {
		p.missing("Prices are in euros: " + p.wanted + " is not to be had at the moment.")
		return
	}
	p.Currency = p.wanted
	p.rates = make(map[int64]money.Amount)
	for i, amount := range p.amounts {
		p.rates[amount.GetMinor()] = money.Of(reply.GetAmounts()[i])
	}
}

// Amount returns an amount of the catalog in the page's currency.
func (p *page) Amount(m *moneyv1.Money) money.Amount {
	if converted, ok := p.rates[m.GetMinor()]; ok && m.GetCurrency() == home {
		return converted
	}
	return money.Of(m)
}

// Price is Amount, to be read.
func (p *page) Price(m *moneyv1.Money) string { return p.Amount(m).String() }

// RequestID names one click on a button, so that two clicks count as one.
func (p *page) RequestID() string { return newKey() }

// trouble is what the error page says.
type trouble struct {
	Code  int
	Title string
	Text  string
	Retry bool
}

// explain turns an error into a page.
func (s *Shop) explain(r *http.Request, p *page, err error) (code int, template string) {
	what := "A part of the shop"
	if a, ok := errors.AsType[*away](err); ok {
		what, err = a.what, a.err
	}
	t := trouble{Code: http.StatusInternalServerError, Title: "Something went wrong", Text: "That was our mistake, not yours. We have written it down."}
	switch c := status.Code(err); {
	case c == codes.NotFound:
		t = notFound
	case c == codes.InvalidArgument, c == codes.FailedPrecondition:
		t = trouble{Code: http.StatusBadRequest, Title: "That did not work", Text: sentence(status.Convert(err).Message())}
	case problem.Uncertain(err) && c != codes.Internal && c != codes.Unknown:
		t = trouble{Code: http.StatusServiceUnavailable, Title: what + " does not answer", Text: "It should be back in a moment. What you put into your cart is safe.", Retry: true}
	}
	if r.Context().Err() == nil && t.Code >= http.StatusInternalServerError {
		s.Logger.Error("page failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	p.Title, p.Data = t.Title, t
	return t.Code, "trouble"
}

var notFound = trouble{Code: http.StatusNotFound, Title: "Nothing here", Text: "This page is not in our books. It may have been sold, moved or never written."}

func (s *Shop) notFound(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "This page takes no forms.", http.StatusMethodNotAllowed)
		return
	}
	s.showStatus(w, r, http.StatusNotFound, "trouble", func(_ context.Context, p *page) error {
		p.Title, p.Data = notFound.Title, notFound
		return nil
	})
}

// render writes the page. A template that fails shows no half page.
func (s *Shop) render(w http.ResponseWriter, code int, template string, p *page) {
	var b bytes.Buffer
	if err := s.templates[template].ExecuteTemplate(&b, "layout", p); err != nil {
		s.Logger.Error("template failed", "template", template, "error", err)
		http.Error(w, "Something went wrong on our side.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", fmt.Sprint(b.Len()))
	h.Set("Cache-Control", "private, no-cache")
	if code == http.StatusServiceUnavailable {
		h.Set("Retry-After", "3")
	}
	w.WriteHeader(code)
	if _, err := w.Write(b.Bytes()); err != nil {
		s.Logger.Debug("visitor left before the page came", "error", err)
	}
}

// sentence makes a message of a service one for readers.
func sentence(message string) string {
	if message == "" {
		return ""
	}
	return strings.ToUpper(message[:1]) + strings.TrimSuffix(message[1:], ".") + "."
}
