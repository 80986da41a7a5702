package currency_test

import (
	"context"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/hanse-go/hanse/examples/shop/currency"
	"github.com/hanse-go/hanse/examples/shop/money"
	currencyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/currency/v1"
	moneyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/money/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func newServer(t *testing.T) currencyv1.CurrenciesServer {
	t.Helper()
	s, err := currency.New()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func convert(t *testing.T, minor int64, from, to string) (int64, error) {
	t.Helper()
	reply, err := newServer(t).Convert(context.Background(), &currencyv1.ConvertRequest{
		Amounts: []*moneyv1.Money{{Currency: from, Minor: minor}}, To: to,
	})
	if err != nil {
		return 0, err
	}
	return reply.GetAmounts()[0].GetMinor(), nil
}

func TestConvert(t *testing.T) {
	for _, test := range []struct {
		minor    int64
		from, to string
		want     int64
	}{
		{1000, "EUR", "EUR", 1000},
		{1100, "EUR", "USD", 1178},   // 11.7755
		{10000, "EUR", "USD", 10705}, // 107.05 exactly
		{5000, "EUR", "USD", 5353},   // 53.525: half goes up
		{-5000, "EUR", "USD", -5353}, // and away from zero
		{1000, "EUR", "JPY", 1719},   // 1719.4
		{1719, "JPY", "EUR", 1000},   // 9.9976…
		{10705, "USD", "GBP", 8464},  // 84.638
		{1, "EUR", "JPY", 2},         // 1.7194
		{1, "JPY", "EUR", 1},         // 0.58 cents
		{100, "SEK", "EUR", 9},       // 8.80
		{0, "EUR", "CHF", 0},         //
		{math.MaxInt64, "EUR", "EUR", math.MaxInt64},
	} {
		got, err := convert(t, test.minor, test.from, test.to)
		if err != nil || got != test.want {
			t.Errorf("%d %s in %s = %d, %v, want %d", test.minor, test.from, test.to, got, err, test.want)
		}
	}
}

func TestConvertRefuses(t *testing.T) {
	for _, test := range []struct {
		name     string
		minor    int64
		from, to string
		want     codes.Code
	}{
		{"unknown source", 1, "XXX", "EUR", codes.InvalidArgument},
		{"unknown target", 1, "EUR", "", codes.InvalidArgument},
		{"too much", math.MaxInt64, "EUR", "JPY", codes.OutOfRange},
	} {
		if _, err := convert(t, test.minor, test.from, test.to); status.Code(err) != test.want {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	many := &currencyv1.ConvertRequest{Amounts: make([]*moneyv1.Money, 501), To: "EUR"}
	if _, err := newServer(t).Convert(context.Background(), many); status.Code(err) != codes.InvalidArgument {
		t.Errorf("501 amounts: %v, want InvalidArgument", err)
	}
}

// TestConvertIsNearest holds every conversion to the definition: no other whole number of units is nearer to the exact value, and of
// two equally near ones it is the one further from zero.
func TestConvertIsNearest(t *testing.T) {
	s := newServer(t)
	list, err := s.ListCurrencies(context.Background(), &currencyv1.ListCurrenciesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	rate := func(c *currencyv1.Currency) *big.Rat {
		r, ok := new(big.Rat).SetString(c.GetPerEuro())
		if !ok {
			t.Fatalf("rate of %s: %q", c.GetCode(), c.GetPerEuro())
		}
		return r
	}
	unit := func(c *currencyv1.Currency) *big.Rat { // minor units in one unit
		return new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(money.Digits(c.GetCode()))), nil))
	}
	random := rand.New(rand.NewPCG(3, 4))
	half := big.NewRat(1, 2)
	for range 20_000 {
		from := list.GetCurrencies()[random.IntN(len(list.GetCurrencies()))]
		to := list.GetCurrencies()[random.IntN(len(list.GetCurrencies()))]
		minor := (random.Int64() >> random.IntN(62)) / 1000
		if random.IntN(2) == 0 {
			minor = -minor
		}
		reply, err := s.Convert(context.Background(), &currencyv1.ConvertRequest{
			Amounts: []*moneyv1.Money{{Currency: from.GetCode(), Minor: minor}}, To: to.GetCode(),
		})
		if err != nil {
			t.Fatalf("%d %s in %s: %v", minor, from.GetCode(), to.GetCode(), err)
		}
		got := reply.GetAmounts()[0].GetMinor()

		exact := new(big.Rat).SetInt64(minor)
		exact.Quo(exact, unit(from)).Quo(exact, rate(from)).Mul(exact, rate(to)).Mul(exact, unit(to))
		off := new(big.Rat).Sub(new(big.Rat).SetInt64(got), exact)
		if exact.Sign() < 0 {
			off.Neg(off) // now positive means away from zero
		}
		if off.Cmp(half) > 0 || off.Cmp(new(big.Rat).Neg(half)) <= 0 {
			t.Fatalf("%d %s in %s = %d, exactly %s", minor, from.GetCode(), to.GetCode(), got, exact.FloatString(4))
		}
	}
}
