package member

import (
	"context"
	"crypto/rand"
	"encoding/hex"

	"github.com/hanse-go/hanse/telemetry"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc/metadata"
)

// traceCall has a call that is passed on tell of the span that the instance has of it, where there is one, and not of its caller's: the command's
// spans stand below that. Requests by plain HTTP do so already.
func traceCall(ctx context.Context, md metadata.MD) {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	for key, value := range carrier {
		md[key] = []string{value}
	}
}

// unrecorded returns the traceparent of a trace that nobody records: a command that tells of its calls is to be silent about questions how
// it does, which come every second.
func unrecorded() string {
	var id [24]byte
	_, _ = rand.Read(id[:]) // it never fails
	return "00-" + hex.EncodeToString(id[:16]) + "-" + hex.EncodeToString(id[16:]) + "-00"
}

// asking returns the context of calls that ask the command about itself.
func asking(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, telemetry.TraceParentKey, unrecorded())
}
