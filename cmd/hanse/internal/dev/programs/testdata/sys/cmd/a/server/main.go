package main

// The method is found although this file does not import hanse.

import "github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs/testdata/sys/cart"

func main() { cart.Service().Main() }
