package currency

import (
	"fmt"
	"math/big"
	"strings"
)

// The rates are the euro foreign exchange reference rates of the European Central Bank for this day, digit for digit as its
// eurofxref-daily.xml had them. They are fixed so that a price is the same on every machine that runs the shop; a shop that lives
// on them would fetch them daily.
const (
	source = "European Central Bank, euro foreign exchange reference rates"
	date   = "2024-06-28"
)

// rate is how many units of a currency one euro bought.
type rate struct {
	code, name string
	perEuro    string // as published: a decimal number
}

var rates = []rate{
	{"EUR", "Euro", "1"},
	{"USD", "US dollar", "1.0705"},
	{"GBP", "Pound sterling", "0.84638"},
	{"CHF", "Swiss franc", "0.9634"},
	{"DKK", "Danish krone", "7.4575"},
	{"SEK", "Swedish krona", "11.3595"},
	{"NOK", "Norwegian krone", "11.3965"},
	{"PLN", "Polish zloty", "4.3090"},
	{"CZK", "Czech koruna", "25.025"},
	{"JPY", "Japanese yen", "171.94"},
}

// decimal is coefficient / 10^scale.
type decimal struct {
	coefficient *big.Int
	scale       int
}

func parseDecimal(s string) (decimal, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	n, ok := new(big.Int).SetString(whole+fraction, 10)
	if !ok || n.Sign() <= 0 {
		return decimal{}, fmt.Errorf("%q is not a positive decimal number", s)
	}
	return decimal{n, len(fraction)}, nil
}

// convert turns minor units of one currency into minor units of another by way of the euro, in one exact fraction that is rounded
// once, to the nearest unit, halves away from zero. It reports false when the result does not fit.
func convert(minor int64, from decimal, fromDigits int, to decimal, toDigits int) (int64, bool) {
	// minor / 10^fromDigits / (from / 10^fromScale) × (to / 10^toScale) × 10^toDigits
	num := new(big.Int).Mul(big.NewInt(minor), to.coefficient)
	num.Mul(num, pow10(from.scale+toDigits))
	den := new(big.Int).Mul(from.coefficient, pow10(to.scale+fromDigits))

	// Halves away from zero: add half of the denominator to the magnitude, then cut.
	negative := num.Sign() < 0
	num.Abs(num)
	num.Lsh(num, 1).Add(num, den)
	num.Quo(num, den.Lsh(den, 1))
	if negative {
		num.Neg(num)
	}
	return num.Int64(), num.IsInt64()
}

func pow10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}
