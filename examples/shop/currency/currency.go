// Package currency is the service that converts money.
package currency

import (
	"context"
	"fmt"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/shop/money"
	currencyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/currency/v1"
	moneyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/money/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maxAmounts is how many amounts one call converts.
const maxAmounts = 500

// Service returns the currency service.
func Service() *hanse.Service {
	return &hanse.Service{Name: "currency", Setup: func(_ context.Context, s *hanse.Service) error {
		server, err := New()
		if err != nil {
			return err
		}
		currencyv1.RegisterCurrenciesServer(s, server)
		return nil
	}}
}

// New returns the implementation.
func New() (currencyv1.CurrenciesServer, error) {
	s := &server{perEuro: make(map[string]decimal)}
	for _, r := range rates {
		d, err := parseDecimal(r.perEuro)
		if err != nil {
			return nil, fmt.Errorf("rate of %s: %w", r.code, err)
		}
		s.perEuro[r.code] = d
	}
	return s, nil
}

type server struct {
	currencyv1.UnimplementedCurrenciesServer
	perEuro map[string]decimal
}

func (s *server) ListCurrencies(context.Context, *currencyv1.ListCurrenciesRequest) (*currencyv1.ListCurrenciesResponse, error) {
	reply := &currencyv1.ListCurrenciesResponse{Source: source, Date: date}
	for _, r := range rates {
		reply.Currencies = append(reply.Currencies, &currencyv1.Currency{
			Code: r.code, Name: r.name, PerEuro: r.perEuro, Digits: int32(money.Digits(r.code)),
		})
	}
	return reply, nil
}

func (s *server) Convert(_ context.Context, req *currencyv1.ConvertRequest) (*currencyv1.ConvertResponse, error) {
	if n := len(req.GetAmounts()); n > maxAmounts {
		return nil, status.Errorf(codes.InvalidArgument, "amounts: %d in one call, at most %d", n, maxAmounts)
	}
	to, ok := s.perEuro[req.GetTo()]
	if !ok {
		return nil, status.Errorf(codes.InvalidArgument, "to: no rate for currency %q", req.GetTo())
	}
	reply := &currencyv1.ConvertResponse{Source: source, Date: date}
	for i, amount := range req.GetAmounts() {
		from, ok := s.perEuro[amount.GetCurrency()]
		if !ok {
			return nil, status.Errorf(codes.InvalidArgument, "amounts[%d]: no rate for currency %q", i, amount.GetCurrency())
		}
		minor := amount.GetMinor()
		if amount.GetCurrency() != req.GetTo() {
			minor, ok = convert(minor, from, money.Digits(amount.GetCurrency()), to, money.Digits(req.GetTo()))
			if !ok {
				return nil, status.Errorf(codes.OutOfRange, "amounts[%d]: %s is too much to express in %s", i, money.Of(amount), req.GetTo())
			}
		}
		reply.Amounts = append(reply.Amounts, &moneyv1.Money{Currency: req.GetTo(), Minor: minor})
	}
	return reply, nil
}
