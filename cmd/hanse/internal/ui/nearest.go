package ui

import (
	"slices"
	"strings"

	"github.com/hanse-go/hanse/internal/nearest"
)

// Nearest returns the candidates that name was most likely meant to be, best first, at most three: those that are equal but for
// case, that contain it or begin like it, or that are a few keystrokes away. It returns none rather than a wild guess.
func Nearest(name string, candidates []string) []string {
	type scored struct {
		name string
		cost int
	}
	var found []scored
	low := strings.ToLower(name)
	for _, c := range candidates {
		lc := strings.ToLower(c)
		cost := 10 * nearest.Distance(low, lc)
		limit := 10 * max(1, min(len(low), len(lc))/3)
		switch {
		case lc == low:
			cost = 0
		case len(low) >= 3 && strings.HasPrefix(lc, low), len(lc) >= 3 && strings.HasPrefix(low, lc):
			cost = min(cost, limit-2)
		case len(low) >= 3 && strings.Contains(lc, low), len(lc) >= 3 && strings.Contains(low, lc):
			cost = min(cost, limit-1)
		}
		if cost <= limit {
			found = append(found, scored{c, cost})
		}
	}
	slices.SortStableFunc(found, func(a, b scored) int {
		if a.cost != b.cost {
			return a.cost - b.cost
		}
		return strings.Compare(a.name, b.name)
	})
	var names []string
	for _, f := range found {
		if !slices.Contains(names, f.name) {
			names = append(names, f.name)
		}
	}
	return names[:min(3, len(names))]
}

// DidYouMean returns "did you mean cart or catalog?" for the candidates nearest to name; or, when nothing is near and there are
// only a few, "there are cart, catalog and shipping"; or "".
func DidYouMean(name string, candidates []string) string {
	if near := Nearest(name, candidates); len(near) > 0 {
		return "did you mean " + List(near, "or") + "?"
	}
	if n := len(candidates); n > 0 && n <= 12 {
		sorted := slices.Clone(candidates)
		slices.Sort(sorted)
		sorted = slices.Compact(sorted)
		verb := "there are "
		if len(sorted) == 1 {
			verb = "there is "
		}
		return verb + List(sorted, "and")
	}
	return ""
}

// List joins names as in a sentence: "a, b and c", with word for "and".
func List(names []string, word string) string {
	switch n := len(names); n {
	case 0:
		return ""
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " " + word + " " + names[n-1]
	}
}

// Shorten cuts a text that is longer than so many characters.
func Shorten(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
