package orders

import (
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs/testdata/sys/cart"
)

// A service that uses the code of another one.
var Cart = cart.Service

func Service() *hanse.Service { return &hanse.Service{Name: "orders"} }
