package load

import (
	"fmt"
	"math/rand/v2"
	"strings"

	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	moneyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/money/v1"
)

// visitor is a person in the shop. One request at a time uses it.
type visitor struct {
	shop   *shop
	random *rand.Rand
	plan   []step // what is left of the visit

	session  string
	currency string
	country  string
	product  *catalogv1.Product   // looked at last
	chosen   []*catalogv1.Product // put into the cart
	total    *moneyv1.Money       // shown before the purchase
	order    string
}

var (
	currencies = []string{"EUR", "EUR", "EUR", "USD", "GBP", "SEK", "PLN", "JPY"}
	countries  = []string{"DE", "DE", "DE", "NL", "SE", "PL", "FR"}
)

// newVisitor plans a visit: three in five end with a purchase.
func newVisitor(s *shop, random *rand.Rand) *visitor {
	v := &visitor{shop: s, random: random}
	v.session = fmt.Sprintf("visitor-%016x%016x", rand.Uint64(), rand.Uint64()) // of its own also when the seed is the same
	v.currency, v.country = pick(random, currencies), pick(random, countries)

	v.plan = append(v.plan, listCategories, listRecommendations)
	if random.IntN(2) == 0 {
		v.plan = append(v.plan, listCurrencies)
	}
	buys := random.IntN(5) < 3
	for range 1 + random.IntN(3) {
		if random.IntN(3) == 0 {
			v.plan = append(v.plan, searchProducts)
		} else {
			v.plan = append(v.plan, listProducts)
		}
		v.plan = append(v.plan, getProduct, getPicture, listRecommendations)
		if buys {
			v.plan = append(v.plan, addItem, getCart)
		}
	}
	if !buys {
		return v
	}
	if random.IntN(4) == 0 {
		v.plan = append(v.plan, setItem)
	}
	v.plan = append(v.plan, batchGetProducts, convert, listDestinations, quote, preview, placeOrder)
	if random.IntN(4) == 0 {
		v.plan = append(v.plan, watchOrder)
	}
	v.plan = append(v.plan, getOrder, listOrders)
	return v
}

// next takes the next step from the plan.
func (v *visitor) next() step {
	s := v.plan[0]
	v.plan = v.plan[1:]
	return s
}

// some returns a product of the shop.
func (v *visitor) some() *catalogv1.Product { return pick(v.random, v.shop.products) }

// word returns something to search for, which some product has.
func (v *visitor) word() string {
	words := strings.Fields(v.some().GetName())
	return pick(v.random, words)
}

func pick[T any](random *rand.Rand, of []T) T { return of[random.IntN(len(of))] }
