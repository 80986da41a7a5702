package main

import (
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs/testdata/sys/cart"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs/testdata/sys/catalog"
)

func main() {
	hanse.Main(cart.Service(), catalog.Service(), named("x"))
}

func named(name string) *hanse.Service { return &hanse.Service{Name: name} }
