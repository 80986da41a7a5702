package nearest_test

import (
	"testing"

	"github.com/hanse-go/hanse/internal/nearest"
)

func TestName(t *testing.T) {
	candidates := []string{"max-items", "min-items", "timeout", "db", "größe"}
	for _, tt := range []struct{ in, want string }{
		{"max-itmes", "max-items"}, // two letters swapped
		{"maxitems", "max-items"},
		{"timeuot", "timeout"},
		{"dv", "db"},
		{"grösse", "größe"},
		{"max-items", "max-items"},
		{"mix-items", "max-items"}, // one edit from both: the first
		{"colour", ""},
		{"xy", ""}, // everything is two edits away from two letters
		{"", ""},
	} {
		if got := nearest.Name(tt.in, candidates); got != tt.want {
			t.Errorf("Name(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
	if got := nearest.Name("cart", nil); got != "" {
		t.Errorf("Name without candidates = %q", got)
	}
}
