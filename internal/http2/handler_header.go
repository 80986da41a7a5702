package http2

import (
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/internal/hpack"
)

// responseHead is how many bytes the header of most responses fits.
const responseHead = 256

// responseFields is a response's header as it was when WriteHeader was called.
type responseFields struct {
	template *hpack.Template // the status, for the commonest
	block    []byte          // HPACK literals behind it
	length   int64           // Content-Length; -1: none
	hasType  bool
	hasDate  bool
	coded    bool     // has a Content-Encoding
	close    bool     // has Connection: close
	trailers []string // of Trailer fields
}

// statusTemplates are the statuses of HPACK's static table.
var statusTemplates = map[int]*hpack.Template{
	200: statusTemplate("200"), 204: statusTemplate("204"), 206: statusTemplate("206"), 304: statusTemplate("304"),
	400: statusTemplate("400"), 404: statusTemplate("404"), 500: statusTemplate("500"),
}

func statusTemplate(status string) *hpack.Template {
	return hpack.NewTemplate(hpack.Field{Name: ":status", Value: status})
}

// snapshot encodes the fields of a header, appending to block.
func snapshot(block []byte, status int, header http.Header) responseFields {
	f := responseFields{template: statusTemplates[status], length: -1}
	if f.template == nil {
		block = hpack.AppendLiteral(block, ":status", strconv.Itoa(status), false)
	}
	f.block = appendFields(block, header, &f)
	return f
}

// appendFields appends the fields of header that a response may have. Those that need care are noted in f; nil: the header is that of
// an informational response.
func appendFields(block []byte, header http.Header, f *responseFields) []byte {
	for name, values := range header {
		switch name {
		case "Connection":
			if f != nil && len(values) > 0 && hasToken(values[0], "close") {
				f.close = true
			}
			continue
		case "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade": // RFC 9113 section 8.2.2
			continue
		case "Content-Length":
			if f == nil || len(values) == 0 {
				continue
			}
			n, err := strconv.ParseUint(values[0], 10, 63)
			if err != nil {
				continue // the length is found out, or left out
			}
			f.length = int64(n)
			values = values[:1]
		case "Content-Type":
			if f != nil {
				f.hasType = true
			}
		case "Content-Encoding":
			if f != nil && len(values) > 0 && values[0] != "" {
				f.coded = true
			}
		case "Date":
			if f != nil {
				f.hasDate = true
			}
		case "Trailer":
			if f != nil {
				for _, v := range values {
					for name := range strings.SplitSeq(v, ",") {
						if name = textproto.TrimString(name); name != "" {
							f.trailers = append(f.trailers, name)
						}
					}
				}
			}
		}
		block = appendValues(block, name, values)
	}
	return block
}

// appendValues appends a field once for each value. What is no field is left out, as net/http does.
func appendValues(block []byte, name string, values []string) []byte {
	lower, ok := lowerName(name)
	if !ok {
		return block
	}
	for _, v := range values {
		if isFieldValue(v) {
			block = hpack.AppendLiteral(block, lower, v, false)
		}
	}
	return block
}

// responseHeader returns what is behind the status in the header that is sent before p.
func (w *responseWriter) responseHeader(p []byte, last bool) []byte {
	f := &w.fields
	block := f.block
	body := bodyAllowed(w.status)
	if length := w.written; f.length < 0 && last && body && (length > 0 || w.call.header.Method != http.MethodHead) {
		block = hpack.AppendLiteral(block, "content-length", strconv.FormatInt(length, 10), false)
	}
	if !f.hasType && !f.coded && body && len(p) > 0 {
		block = hpack.AppendLiteral(block, "content-type", http.DetectContentType(p), false)
	}
	if !f.hasDate {
		block = hpack.AppendLiteral(block, "date", w.call.web.dateNow(), false)
	}
	return block
}

// dateText is a Date of the second that it is of.
type dateText struct {
	second int64
	text   string
}

// dateNow returns the value of a Date field. It is made once a second.
func (w *Web) dateNow() string {
	now := time.Now()
	last := w.date.Load()
	if last == nil || last.second != now.Unix() {
		last = &dateText{now.Unix(), now.UTC().Format(http.TimeFormat)}
		w.date.Store(last)
	}
	return last.text
}

// trailerBlock returns the trailers: those declared in the header that have values now, and those with [http.TrailerPrefix].
func (w *responseWriter) trailerBlock() (block []byte) {
	for name, values := range w.header {
		if rest, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			if name = http.CanonicalHeaderKey(rest); w.trailerAllowed(name) {
				block = appendValues(block, name, values)
			}
		} else if slices.Contains(w.trailers, name) {
			block = appendValues(block, name, values)
		}
	}
	return block
}

// declareTrailer notes a name of a Trailer field.
func (w *responseWriter) declareTrailer(name string) {
	if name = http.CanonicalHeaderKey(name); w.trailerAllowed(name) {
		w.trailers = append(w.trailers, name)
	}
}

// trailerAllowed reports whether a trailer may have this name (RFC 9110 section 6.5.1).
func (w *responseWriter) trailerAllowed(name string) bool {
	switch name {
	case "Authorization", "Cache-Control", "Connection", "Content-Encoding", "Content-Length", "Content-Range", "Content-Type", "Expect",
		"Host", "Keep-Alive", "Max-Forwards", "Pragma", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Range",
		"Realm", "Te", "Trailer", "Transfer-Encoding", "Www-Authenticate":
	default:
		if !strings.HasPrefix(name, "If-") {
			return true
		}
	}
	w.call.web.logger().Warn("an HTTP handler declared a trailer that must not be one; it is not sent", "trailer", name, "path", w.call.header.Path)
	return false
}

// bodyAllowed reports whether a response with this status may have a body (RFC 9110 section 6.4.1).
func bodyAllowed(status int) bool { return status >= 200 && status != 204 && status != 304 }

// lowerName returns a field's name as HTTP/2 has it, and whether it is one.
func lowerName(name string) (string, bool) {
	upper := false
	for i := range len(name) {
		c := name[i]
		if !isNameByte(c) {
			return "", false
		}
		upper = upper || 'A' <= c && c <= 'Z'
	}
	if upper {
		if lower, ok := commonNames[name]; ok {
			return lower, true
		}
		name = strings.ToLower(name)
	}
	return name, name != ""
}

// isNameByte reports whether a field's name may have c (RFC 9110 section 5.6.2).
func isNameByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// isFieldValue reports whether a field may have this value: there are no control characters in it but tabs.
func isFieldValue(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// commonNames are fields of responses, so that their names in lower case need no memory.
var commonNames = map[string]string{
	"Accept-Ranges": "accept-ranges", "Access-Control-Allow-Origin": "access-control-allow-origin", "Age": "age", "Allow": "allow",
	"Cache-Control": "cache-control", "Content-Disposition": "content-disposition", "Content-Encoding": "content-encoding",
	"Content-Language": "content-language", "Content-Length": "content-length", "Content-Range": "content-range",
	"Content-Type": "content-type", "Date": "date", "Etag": "etag", "Expires": "expires", "Last-Modified": "last-modified",
	"Link": "link", "Location": "location", "Retry-After": "retry-after", "Server": "server", "Set-Cookie": "set-cookie",
	"Strict-Transport-Security": "strict-transport-security", "Trailer": "trailer", "Vary": "vary", "Www-Authenticate": "www-authenticate",
	"X-Content-Type-Options": "x-content-type-options", "X-Request-Id": "x-request-id",
}
