package protovalidate_test

import (
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/rpc/protovalidate"
)

// The whole main function of a program with rules in its .proto files.
func Example() {
	orders := &hanse.Service{Name: "orders"}

	app := &hanse.App{Docs: true, Rules: new(protovalidate.Validator)}
	app.Main(orders)
}
