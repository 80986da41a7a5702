package main

import (
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs/testdata/sys/cart"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs/testdata/sys/orders"
)

func main() { hanse.Main(cart.Service(), orders.Service()) }
