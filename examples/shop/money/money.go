// Package money does exact arithmetic on amounts of money.
//
// An [Amount] counts the smallest units of its currency in an int64, so nothing is ever rounded except where a rate is applied, and
// there by one rule: to the nearest unit, halves away from zero. Sums that do not fit, and sums of two currencies, are errors.
package money

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	moneyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/money/v1"
)

// Amount is an exact amount of one currency. The zero value is nothing of no currency: it can be added to any amount.
type Amount struct {
	Currency string // ISO 4217 code
	Minor    int64  // in the smallest unit
}

// Of returns the amount in a message; a nil message is the zero Amount.
func Of(m *moneyv1.Money) Amount {
	return Amount{Currency: m.GetCurrency(), Minor: m.GetMinor()}
}

// Proto returns the amount as a message.
func (a Amount) Proto() *moneyv1.Money {
	return &moneyv1.Money{Currency: a.Currency, Minor: a.Minor}
}

// Add returns a+b. It fails when the currencies differ or the sum does not fit.
func (a Amount) Add(b Amount) (Amount, error) {
	if a == (Amount{}) {
		return b, nil
	}
	if b == (Amount{}) {
		return a, nil
	}
	if a.Currency != b.Currency {
		return Amount{}, fmt.Errorf("cannot add %s to %s", b.Currency, a.Currency)
	}
	sum := a.Minor + b.Minor
	if (sum > a.Minor) != (b.Minor > 0) && b.Minor != 0 {
		return Amount{}, fmt.Errorf("%s and %s do not fit in one amount", a, b)
	}
	return Amount{a.Currency, sum}, nil
}

// Times returns n of a. It fails when the product does not fit.
func (a Amount) Times(n int64) (Amount, error) {
	hi, lo := bits.Mul64(magnitude(a.Minor), magnitude(n))
	negative := (a.Minor < 0) != (n < 0)
	if hi != 0 || lo > math.MaxInt64 {
		return Amount{}, fmt.Errorf("%d times %s does not fit in one amount", n, a)
	}
	product := int64(lo)
	if negative {
		product = -product
	}
	return Amount{a.Currency, product}, nil
}

// Sum adds up amounts of one currency.
func Sum(amounts ...Amount) (Amount, error) {
	var sum Amount
	for _, a := range amounts {
		var err error
		if sum, err = sum.Add(a); err != nil {
			return Amount{}, err
		}
	}
	return sum, nil
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return uint64(-(n + 1)) + 1
	}
	return uint64(n)
}

// Digits returns how many digits a currency has after the decimal point: 0 for JPY, else 2.
func Digits(currency string) int {
	switch currency {
	case "JPY", "ISK", "KRW":
		return 0
	}
	return 2
}

// String formats the amount for a reader: "€1,299.00", "¥1,999", "1,299.00 kr" or, for a currency without a sign of its own,
// "1,299.00 XYZ".
func (a Amount) String() string {
	digits := Digits(a.Currency)
	units := strconv.FormatUint(magnitude(a.Minor), 10)
	if missing := digits + 1 - len(units); missing > 0 {
		units = strings.Repeat("0", missing) + units
	}
	whole, fraction := units[:len(units)-digits], units[len(units)-digits:]

	var b strings.Builder
	if a.Minor < 0 {
		b.WriteString("−")
	}
	sign := signs[a.Currency]
	b.WriteString(sign.before)
	for i, d := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	if digits > 0 {
		b.WriteByte('.')
		b.WriteString(fraction)
	}
	switch {
	case sign.after != "":
		b.WriteString("\u00a0" + sign.after)
	case sign.before == "" && a.Currency != "":
		b.WriteString("\u00a0" + a.Currency)
	}
	return b.String()
}

// signs are the currency signs that a reader knows.
var signs = map[string]struct{ before, after string }{
	"EUR": {before: "€"},
	"USD": {before: "$"},
	"GBP": {before: "£"},
	"JPY": {before: "¥"},
	"CHF": {before: "CHF\u00a0"},
	"PLN": {after: "zł"},
	"CZK": {after: "Kč"},
	"DKK": {after: "kr."},
	"SEK": {after: "kr"},
	"NOK": {after: "kr"},
	"ISK": {after: "kr."},
	"CAD": {before: "CA$"},
	"AUD": {before: "A$"},
}
