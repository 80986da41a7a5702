package spiffe_test

import (
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/identity/spiffe"
)

// A program whose services are registered with SPIRE as spiffe://DOMAIN/ns/shop/sa/NAME.
func Example() {
	app := &hanse.App{Identity: &spiffe.Source{Path: "ns/shop/sa/{service}"}}
	app.Main(&hanse.Service{Name: "checkout"})
}
