// Command etcdshop is the shop for a registry in etcd: what the shop would be that imports etcddiscovery.
//
//	HANSE_REGISTRY=etcd://127.0.0.1:2379/shop etcdshop --services catalog
package main

import (
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/discovery"
	"github.com/hanse-go/hanse/examples/e2e/onhost"
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
	app := &hanse.App{RegistrySchemes: discovery.Schemes{"etcd": onhost.Etcd}}
	app.Main(
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
