package main

import (
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs/testdata/sys/cart"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs/testdata/sys/catalog"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs/testdata/sys/shared"
)

func main() {
	println(shared.Greeting)
	hanse.Main(catalog.Service(), cart.Service())
}
