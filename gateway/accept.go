package gateway

import (
	"net/http"
	"strconv"
	"strings"
)

// acceptable returns which of the media types that are offered a client likes best, by its Accept header: by weight, then by how
// precisely it asks, then by their order. Without the header it is the first one; when none is acceptable, it is empty.
func acceptable(header http.Header, offers ...string) string {
	values := header["Accept"]
	if len(values) == 0 {
		return offers[0]
	}
	best, bestWeight, bestPrecision := "", 0.0, 0
	for _, offer := range offers {
		if weight, precision := acceptance(values, offer); weight > bestWeight || weight == bestWeight && weight > 0 && precision > bestPrecision {
			best, bestWeight, bestPrecision = offer, weight, precision
		}
	}
	return best
}

// asksFor reports whether a client names a media type in its Accept header; a wildcard is not enough.
func asksFor(header http.Header, mediaType string) bool {
	values := header["Accept"]
	if len(values) == 0 {
		return false
	}
	weight, precision := acceptance(values, mediaType)
	return weight > 0 && precision == 3
}

// acceptance returns the weight that the most precise range has which a media type is in, and how precise that is: 3 is the type itself, 2
// is type/*, 1 is */*, 0 is none.
func acceptance(values []string, mediaType string) (weight float64, precision int) {
	group, _, _ := strings.Cut(mediaType, "/")
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			name, params, _ := strings.Cut(part, ";")
			name = strings.TrimSpace(name)
			p := 0
			switch {
			case strings.EqualFold(name, mediaType):
				p = 3
			case strings.EqualFold(strings.TrimSuffix(name, "/*"), group):
				p = 2
			case name == "*/*":
				p = 1
			}
			if p > precision {
				weight, precision = weightOf(params), p
			}
		}
	}
	return weight, precision
}

// weightOf returns the parameter q, which is 1 where it is missing or malformed.
func weightOf(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if strings.EqualFold(name, "q") {
			if q, err := strconv.ParseFloat(value, 64); err == nil && q >= 0 && q <= 1 {
				return q
			}
		}
	}
	return 1
}
