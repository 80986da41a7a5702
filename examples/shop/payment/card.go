package payment

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hanse-go/hanse/examples/shop/problem"
	paymentv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/payment/v1"
)

// network is a brand of cards, known by how their numbers begin.
type network struct {
	name       string
	low, high  int // of the first four digits
	lengths    []int
	codeDigits int
}

var networks = []network{
	{"American Express", 3400, 3499, []int{15}, 4},
	{"American Express", 3700, 3799, []int{15}, 4},
	{"Visa", 4000, 4999, []int{13, 16, 19}, 3},
	{"Mastercard", 5100, 5599, []int{16}, 3},
	{"Mastercard", 2221, 2720, []int{16}, 3},
	{"Maestro", 5000, 5099, []int{12, 13, 14, 15, 16, 17, 18, 19}, 3},
	{"Discover", 6011, 6011, []int{16}, 3},
	{"JCB", 3528, 3589, []int{16}, 3},
}

// No bank stands behind this service: these are the numbers that it declines, each for its reason. All others that pass the checks
// are good. The numbers are the ones that card processors give out for tests.
var declined = map[string]struct{ reason, message string }{
	"4000000000000002": {"CARD_DECLINED", "the bank declined the card"},
	"4000000000009995": {"INSUFFICIENT_FUNDS", "the card has not enough funds"},
	"4000000000009987": {"LOST_CARD", "the card was reported lost"},
	"4000000000000069": {"EXPIRED_CARD", "the bank says that the card has expired"},
}

// card is one that passed its checks. Its number is nowhere else.
type card struct {
	network  string
	number   string
	lastFour string
}

// String keeps the number out of logs and messages.
func (c card) String() string { return c.network + " ending in " + c.lastFour }

// checkCard checks all that can be known about a card without asking its bank. The error names every field that is wrong.
func checkCard(in *paymentv1.Card, now time.Time) (card, error) {
	var wrong []problem.Field
	bad := func(field, format string, args ...any) {
		wrong = append(wrong, problem.Field{Name: "card." + field, Problem: fmt.Sprintf(format, args...)})
	}

	number := strings.NewReplacer(" ", "", "-", "").Replace(in.GetNumber())
	brand, known := brandOf(number)
	switch {
	case number == "":
		bad("number", "is missing")
	case !digitsOnly(number) || !luhn(number):
		bad("number", "is not a card number: please check the digits")
	case !known:
		bad("number", "is of a card that we do not take")
	}

	month, year := in.GetExpiryMonth(), in.GetExpiryYear()
	switch {
	case month < 1 || month > 12:
		bad("expiry", "has no month from 1 to 12")
	case year < 2000 || year > 2100:
		bad("expiry", "has no year of four digits")
	case !now.Before(time.Date(int(year), time.Month(month)+1, 1, 0, 0, 0, 0, time.UTC)): // good to the end of the month
		bad("expiry", "is in the past")
	}

	code := in.GetCode()
	switch want := brand.codeDigits; {
	case code == "":
		bad("code", "is missing")
	case !digitsOnly(code) || known && len(code) != want || !known && (len(code) < 3 || len(code) > 4):
		bad("code", "is the %d digits beside the signature", max(want, 3))
	}
	switch holder := strings.TrimSpace(in.GetHolder()); {
	case holder == "":
		bad("holder", "is missing")
	case utf8.RuneCountInString(holder) > 100:
		bad("holder", "is longer than 100 letters")
	}
	if len(wrong) > 0 {
		return card{}, problem.Invalid(wrong...)
	}
	return card{network: brand.name, number: number, lastFour: number[len(number)-4:]}, nil
}

func brandOf(number string) (network, bool) {
	if len(number) < 12 || !digitsOnly(number) {
		return network{}, false
	}
	first := int(number[0]-'0')*1000 + int(number[1]-'0')*100 + int(number[2]-'0')*10 + int(number[3]-'0')
	for _, n := range networks {
		if first < n.low || first > n.high {
			continue
		}
		for _, length := range n.lengths {
			if len(number) == length {
				return n, true
			}
		}
	}
	return network{}, false
}

// luhn checks the last digit of a number (ISO/IEC 7812-1).
func luhn(number string) bool {
	sum := 0
	for i := range len(number) {
		d := int(number[len(number)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return len(number) > 1 && sum%10 == 0
}

func digitsOnly(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
