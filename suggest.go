package hanse

import (
	"fmt"
	"strings"

	"github.com/hanse-go/hanse/internal/nearest"
)

// suggest says what a name, which is none of these, was probably meant to be.
func suggest(name string, names []string) string {
	if near := nearest.Name(name, names); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return "there are " + strings.Join(names, ", ")
}
