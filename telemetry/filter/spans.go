package filter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hanse-go/hanse/internal/nearest"
)

// Words of the fields of spans whose values are known.
var (
	statuses = []string{
		"error", "refused", "ok", "unset", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
	}
	kinds = []string{"server", "client", "producer", "consumer", "internal"}
)

// ParseSpans is [Parse] for a filter of spans: what no span can have as its status or kind is an error, too. Of lines status and kind are
// attributes, which may have any value.
func ParseSpans(text string) (Filter, error) {
	f, err := Parse(text)
	if err != nil {
		return f, err
	}
	for i := range f.terms {
		t := &f.terms[i]
		known, there := kinds, ""
		switch t.Field {
		case Status:
			known, there = statuses, "error, refused, ok and unset, codes of gRPC such as NOT_FOUND, and of HTTP such as 404"
		case Kind:
			there = strings.Join(kinds[:len(kinds)-1], ", ") + " and " + kinds[len(kinds)-1]
		default:
			continue
		}
		if t.compares() {
			continue
		}
		at := t.Pos + strings.IndexAny(text[t.Pos:], ":=")
		for _, v := range t.Values {
			if n := strings.Index(text[at:], v.Text); n >= 0 {
				at += n
			}
			if v.Regexp != nil || v.Pattern || v.Text == "" || slices.ContainsFunc(known, func(k string) bool { return plain(k) == plain(v.Text) }) {
				continue
			}
			if _, err := strconv.Atoi(v.Text); err == nil && t.Field == Status {
				continue
			}
			meant := "there are " + there
			if near := near(v.Text, known); near != "" {
				meant = fmt.Sprintf("did you mean %s?", near)
			}
			return Filter{}, &Error{
				Query: text, Pos: at, End: min(at+max(len(v.Text), 1), len(text)),
				Message: fmt.Sprintf("no %s %q: %s (@%s:%s is an attribute of that name)", t.Field, v.Text, meant, t.Field, v.Text),
			}
		}
	}
	return f, nil
}

// plain is a word as it is compared: NotFound is NOT_FOUND.
func plain(word string) string { return strings.ToLower(strings.ReplaceAll(word, "_", "")) }

// near returns the word that was probably meant, or "".
func near(word string, words []string) string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = plain(w)
	}
	if i := slices.Index(list, nearest.Name(plain(word), list)); i >= 0 {
		return words[i]
	}
	return ""
}
