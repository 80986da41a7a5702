package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

const (
	// RESTKey is in the metadata of a call that came by REST, to the path of a google.api.http annotation. Only then a status of HTTP means
	// something.
	RESTKey = "hanse-rest"
	// StatusKey is the key in the header of a reply that says its status of HTTP, such as "201". [SetStatus] sets it; so do programs in
	// other languages, for calls with RESTKey. Clients do not get to see it.
	StatusKey = "hanse-http-status"

	restHeader   = "Hanse-Rest"
	statusHeader = "Hanse-Http-Status"
)

// byREST is what RESTKey has.
var byREST = []string{"1"}

// saysREST reports whether a header is what the handler itself has put there: what a client sends by that name is another slice.
func saysREST(name string, values []string) bool {
	return name == restHeader && len(values) == 1 && &values[0] == &byREST[0]
}

// SetStatus makes the call of ctx answer with a status of HTTP in place of 200, if it came by REST: 2xx or 3xx, such as
// [http.StatusCreated]. What else belongs to it, such as a Location, is metadata of the header as ever (grpc.SetHeader). With 204, 205 and
// 304 the reply has no body. By other protocols statuses of HTTP mean nothing, and the call stays as it is. It counts when the call ends
// well, and in a stream before the first message. The error says that the status is none of these, or that the header was sent.
func SetStatus(ctx context.Context, code int) error {
	if !succeeds(code) {
		return fmt.Errorf("gateway: %d is no status of a reply: it must be from 200 to 399; errors have that of their code", code)
	}
	if len(metadata.ValueFromIncomingContext(ctx, RESTKey)) == 0 {
		return nil
	}
	return grpc.SetHeader(ctx, metadata.Pairs(StatusKey, strconv.Itoa(code)))
}

func succeeds(code int) bool { return 200 <= code && code <= 399 }

// successOf returns the status of a reply with this header. One that is none counts for nothing.
func successOf(header metadata.MD) int {
	values := header[StatusKey]
	if len(values) == 0 {
		return http.StatusOK
	}
	if code, err := strconv.Atoi(values[len(values)-1]); err == nil && succeeds(code) {
		return code
	}
	return http.StatusOK
}

// hasBody reports whether a response with this status has a body.
func hasBody(code int) bool {
	return code != http.StatusNoContent && code != http.StatusResetContent && code != http.StatusNotModified
}
