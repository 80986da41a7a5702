// Command shop is a whole shop: nine services in one program.
//
//	go run ./shop                            # all of them in one process
//	go run ./shop --services=cart,catalog    # two of them; the others are found over the network
//	hanse dev ./shop                         # each in a process of its own
//
// Open the address of the storefront and buy something. What the shop keeps (carts, payments, orders) is in SQLite files in the folder
// that SHOP_DATA names, else in the user's cache folder.
package main

import (
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/shop/cart"
	"github.com/hanse-go/hanse/examples/shop/catalog"
	"github.com/hanse-go/hanse/examples/shop/checkout"
	"github.com/hanse-go/hanse/examples/shop/currency"
	"github.com/hanse-go/hanse/examples/shop/orders"
	"github.com/hanse-go/hanse/examples/shop/payment"
	"github.com/hanse-go/hanse/examples/shop/recommendation"
	"github.com/hanse-go/hanse/examples/shop/shipping"
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
	)
}
