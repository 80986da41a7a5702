package money_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/hanse-go/hanse/examples/shop/money"
)

func Example() {
	tea := money.Amount{Currency: "EUR", Minor: 1290}
	three, _ := tea.Times(3)
	total, _ := three.Add(money.Amount{Currency: "EUR", Minor: 490})
	fmt.Println(total)
	// Output: €43.60
}

func TestString(t *testing.T) {
	for _, test := range []struct {
		currency string
		minor    int64
		want     string
	}{
		{"EUR", 0, "€0.00"},
		{"EUR", 5, "€0.05"},
		{"EUR", -5, "−€0.05"},
		{"EUR", 123456789, "€1,234,567.89"},
		{"EUR", 99999, "€999.99"},
		{"JPY", 0, "¥0"},
		{"JPY", 1999, "¥1,999"},
		{"SEK", 100000, "1,000.00\u00a0kr"},
		{"XYZ", 150, "1.50\u00a0XYZ"},
		{"EUR", math.MinInt64, "−€92,233,720,368,547,758.08"},
	} {
		if got := (money.Amount{Currency: test.currency, Minor: test.minor}).String(); got != test.want {
			t.Errorf("%d %s = %q, want %q", test.minor, test.currency, got, test.want)
		}
	}
}

func TestAddRefusesTwoCurrencies(t *testing.T) {
	_, err := money.Amount{Currency: "EUR", Minor: 1}.Add(money.Amount{Currency: "USD", Minor: 1})
	if err == nil {
		t.Error("EUR + USD gave no error")
	}
}

// TestArithmeticIsExact holds Add and Times equal to arithmetic without limits: the same result, or an error exactly where it does not fit.
func TestArithmeticIsExact(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	number := func() int64 { // of every magnitude, both ends included
		switch n := int64(random.Uint64()) >> random.IntN(64); random.IntN(20) {
		case 0:
			return math.MaxInt64
		case 1:
			return math.MinInt64
		case 2:
			return 0
		default:
			return n
		}
	}
	check := func(what string, a, b int64, got money.Amount, err error, want *big.Int) {
		t.Helper()
		switch fits := want.IsInt64(); {
		case fits && err != nil && want.Int64() != math.MinInt64:
			t.Fatalf("%d %s %d: %v", a, what, b, err)
		case !fits && err == nil:
			t.Fatalf("%d %s %d = %d: no error, but it is %s", a, what, b, got.Minor, want)
		case fits && err == nil && got.Minor != want.Int64():
			t.Fatalf("%d %s %d = %d, want %s", a, what, b, got.Minor, want)
		}
	}
	for range 200_000 {
		a, b := number(), number()
		x, y := money.Amount{Currency: "EUR", Minor: a}, money.Amount{Currency: "EUR", Minor: b}

		sum, err := x.Add(y)
		check("+", a, b, sum, err, new(big.Int).Add(big.NewInt(a), big.NewInt(b)))
		other, err2 := y.Add(x)
		if sum != other || (err == nil) != (err2 == nil) {
			t.Fatalf("%d + %d is %v one way and %v the other", a, b, sum, other)
		}
		product, err := x.Times(b)
		check("×", a, b, product, err, new(big.Int).Mul(big.NewInt(a), big.NewInt(b)))
	}
}
