// Command shop is a whole shop: twelve services in one program.
//
//	hanse dev ./shop                         # each in a process of its own
//	hanse hub                                # carries the events of those that are started by hand:
//	go run ./shop                            # all of them in one process
//	go run ./shop --services=cart,catalog    # two of them; the others are found over the network
//
// Open the address of the storefront and buy something. What the shop keeps (carts, payments, orders, mail) is in SQLite files in the folder
// that SHOP_DATA names, else in the user's cache folder.
package main

import (
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/shop/cart"
	"github.com/hanse-go/hanse/examples/shop/catalog"
	"github.com/hanse-go/hanse/examples/shop/checkout"
	"github.com/hanse-go/hanse/examples/shop/currency"
	"github.com/hanse-go/hanse/examples/shop/email"
	"github.com/hanse-go/hanse/examples/shop/loyalty"
	"github.com/hanse-go/hanse/examples/shop/orders"
	"github.com/hanse-go/hanse/examples/shop/payment"
	"github.com/hanse-go/hanse/examples/shop/recommendation"
	"github.com/hanse-go/hanse/examples/shop/shipping"
	"github.com/hanse-go/hanse/examples/shop/stock"
	"github.com/hanse-go/hanse/examples/shop/storefront"
)

func main() {
	hanse.Main(
		storefront.Service(),
		catalog.Service(),
		cart.Service(),
		currency.Service(),
		shipping.Service(),
		payment.Service(),
		orders.Service(),
		checkout.Service(),
		recommendation.Service(),
		stock.Service(),
		email.Service(),
		loyalty.Service(),
	)
}
