package cart

import (
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/cmd/hanse/internal/dev/programs/testdata/sys/stubs"
)

const name = "ca" + "rt"

var _ stubs.Client

func Service() *hanse.Service { return &hanse.Service{Name: name} }
