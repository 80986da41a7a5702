package rpc

import (
	"strings"

	"github.com/hanse-go/hanse/internal/hpack"
	"github.com/hanse-go/hanse/internal/http2"
	"github.com/hanse-go/hanse/rpc/internal/wire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// replyFields are what the header or the trailers of a reply say to the protocol.
type replyFields struct {
	contentType  string
	grpc         bool // the content type is gRPC's
	encoding     string
	status       statusFields
	notProcessed bool  // a Hanse server says so
	pushback     int64 // as wire.ParsePushback reads it; 0: none
	binary       bool  // there are values to be checked
}

func (r *replyFields) read(fields []hpack.Field) {
	for i := range fields {
		switch f := &fields[i]; f.Name {
		case "content-type":
			r.contentType = f.Value
			_, r.grpc = grpcContent(f.Value)
		case "grpc-encoding":
			r.encoding = f.Value
		case wire.NotProcessedKey:
			r.notProcessed = true
		case wire.PushbackKey:
			r.pushback = wire.ParsePushback(f.Value)
		case "grpc-status", "grpc-message", "grpc-status-details-bin":
		default:
			r.binary = r.binary || strings.HasSuffix(f.Name, "-bin")
		}
	}
	r.status.read(fields)
}

// replyOf reads a header of a reply. Its beginning was read before, as a rule, or all of it; else the fields are read into room.
func replyOf(h *http2.Header, room *replyFields) *replyFields {
	known, ok := h.Run.Data.(*replyFields)
	if !ok {
		known = new(replyFields)
		known.read(h.Run.Fields)
		h.Run.Data = known
	}
	if len(h.Rest) == 0 {
		return known
	}
	*room = *known
	room.read(h.Rest)
	return room
}

// checkHead returns the error of a reply that is not gRPC's. Where it has a status of gRPC, that counts.
func (r *replyFields) checkHead(h *http2.Header) error {
	if h.Status == 200 && r.grpc {
		return nil
	}
	if r.status.code != "" && (r.grpc || h.Status != 200) {
		if err := r.status.err(); err != nil {
			return err
		}
	}
	code := httpCode(h.Status)
	if h.Status == 200 {
		code = codes.Unknown
	}
	return status.Errorf(code, "the answer is not gRPC: HTTP status %d, content type %q", h.Status, r.contentType)
}

// metadataOf is what the program sees of a header. Malformed binary values are an error.
func metadataOf(h *http2.Header, binary bool) (metadata.MD, error) {
	if binary {
		for _, fields := range [...][]hpack.Field{h.Run.Fields, h.Rest} {
			if err := checkBinary(fields); err != nil {
				return nil, status.Error(codes.Internal, err.Error())
			}
		}
	}
	n := visible(h.Run.Fields) + visible(h.Rest)
	md, single := make(metadata.MD, n), make([]string, 0, n)
	single = addFields(md, h.Run.Fields, single)
	addFields(md, h.Rest, single)
	return md, nil
}

// resetCode is the code of a call that the peer ended by RST_STREAM (gRPC's PROTOCOL-HTTP2, "Errors").
func resetCode(code http2.ErrCode) codes.Code {
	switch code {
	case http2.RefusedStream:
		return codes.Unavailable
	case http2.Cancel:
		return codes.Canceled
	case http2.EnhanceYourCalm:
		return codes.ResourceExhausted
	case http2.InadequateSecurity:
		return codes.PermissionDenied
	}
	return codes.Internal
}
