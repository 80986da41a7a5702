package catalog

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
)

// index finds products by words. With a few dozen products a scan of prepared words is faster than anything cleverer.
type index struct {
	entries []entry
}

type entry struct {
	product *catalogv1.Product
	words   map[string]int // word → weight of the best place that it stands in
}

// Weights of the places that a word may stand in.
const (
	inName        = 16
	inTags        = 8
	inCategory    = 6
	inOrigin      = 6
	inSummary     = 3
	inDescription = 1
)

func (x *index) add(p *catalogv1.Product, shelf category) {
	e := entry{product: p, words: make(map[string]int)}
	put := func(text string, weight int) {
		for _, w := range words(text) {
			e.words[w] = max(e.words[w], weight)
			if v := umlauts.Replace(w); v != w {
				e.words[v] = max(e.words[v], weight)
			}
			f := fold(w)
			e.words[f] = max(e.words[f], weight)
		}
	}
	put(p.GetName(), inName)
	put(strings.Join(p.GetTags(), " "), inTags)
	put(shelf.name, inCategory)
	put(p.GetOrigin(), inOrigin)
	put(p.GetSummary(), inSummary)
	put(p.GetDescription(), inDescription)
	x.entries = append(x.entries, e)
}

// search returns the products that have every word of the query, as a word or the beginning of one, best first. A query without
// words finds nothing.
func (x *index) search(query string) []*catalogv1.Product {
	type hit struct {
		product *catalogv1.Product
		score   int
	}
	terms := words(query)
	if len(terms) == 0 {
		return nil
	}
	var hits []hit
	for _, e := range x.entries {
		score := 0
		for _, term := range terms {
			best := 0
			for w, weight := range e.words {
				switch {
				case w == term:
					best = max(best, 2*weight)
				case strings.HasPrefix(w, term):
					best = max(best, weight)
				}
			}
			if best == 0 {
				score = 0
				break
			}
			score += best
		}
		if score > 0 {
			hits = append(hits, hit{e.product, score})
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(b.score, a.score) })
	products := make([]*catalogv1.Product, len(hits))
	for i, h := range hits {
		products[i] = h.product
	}
	return products
}

// words splits a text into lower-case words, with the plural's s cut off longer ones.
func words(text string) []string {
	fields := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for i, w := range fields {
		if len(w) > 3 && strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") {
			fields[i] = w[:len(w)-1]
		}
	}
	return fields
}

// Readers write Lübeck as Lübeck, Luebeck or Lubeck.
var (
	umlauts  = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss")
	unaccent = strings.NewReplacer("ä", "a", "ö", "o", "ü", "u", "é", "e", "è", "e", "ß", "ss")
)

func fold(w string) string { return unaccent.Replace(w) }
