package telemetry

import (
	"context"

	"github.com/hanse-go/hanse/internal/redact"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Events of the span of a call that was taken, where [Config.Messages] is set: one for each message, with its attributes.
const (
	RequestEvent  = "hanse.request"
	ResponseEvent = "hanse.response"

	BodyKey     = "hanse.message.body"     // the message as JSON
	CutKey      = "hanse.message.cut"      // true: it was longer than Config.Messages, and is not all there
	RedactedKey = "hanse.message.redacted" // true: it has fields marked debug_redact, which are not there
)

// MessagesVariable is the variable that [FromEnv] reads [Config.Messages] from.
const MessagesVariable = "HANSE_CAPTURE"

// maxStreamed is how many messages of a stream are kept in each direction.
const maxStreamed = 10

// MessagesUnary is an interceptor that keeps the messages of calls on their spans, about limit bytes of each: see [Config.Messages]. It
// does nothing for calls whose trace is not recorded.
func MessagesUnary(limit int) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		span := trace.SpanFromContext(ctx)
		if !span.IsRecording() {
			return handler(ctx, req)
		}
		keep(span, RequestEvent, req, limit) // before the handler, which may change it
		reply, err := handler(ctx, req)
		if err == nil {
			keep(span, ResponseEvent, reply, limit)
		}
		return reply, err
	}
}

// MessagesStream is [MessagesUnary] for streams: of each it keeps the first messages in both directions.
func MessagesStream(limit int) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		span := trace.SpanFromContext(ss.Context())
		if span.IsRecording() {
			ss = &keptStream{ServerStream: ss, span: span, limit: limit}
		}
		return handler(srv, ss)
	}
}

// keptStream notes what passes. A stream has one reader and one writer, so each count has one goroutine.
type keptStream struct {
	grpc.ServerStream
	span           trace.Span
	limit          int
	received, sent int
}

func (s *keptStream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if err == nil && s.received < maxStreamed {
		s.received++
		keep(s.span, RequestEvent, m, s.limit)
	}
	return err
}

func (s *keptStream) SendMsg(m any) error {
	if s.sent < maxStreamed { // before it is sent: then it is the receiver's, in one process
		s.sent++
		keep(s.span, ResponseEvent, m, s.limit)
	}
	return s.ServerStream.SendMsg(m)
}

// keep adds the message to the span. What is no protobuf message is nobody's to show.
func keep(span trace.Span, event string, m any, limit int) {
	message, ok := m.(proto.Message)
	if !ok {
		return
	}
	text := redact.JSON(message, limit)
	attrs := []attribute.KeyValue{attribute.String(BodyKey, text.JSON)}
	if text.Cut {
		attrs = append(attrs, attribute.Bool(CutKey, true))
	}
	if text.Redacted {
		attrs = append(attrs, attribute.Bool(RedactedKey, true))
	}
	span.AddEvent(event, trace.WithAttributes(attrs...))
}
