package catalog

import (
	"embed"

	"github.com/hanse-go/hanse"
)

//go:embed pages
var Pages embed.FS

func Service() *hanse.Service {
	s := hanse.Service{Name: "catalog"}
	return &s
}
