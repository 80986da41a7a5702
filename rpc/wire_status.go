package rpc

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/hanse-go/hanse/internal/grpctext"
	"github.com/hanse-go/hanse/internal/hpack"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// appendStatus appends the trailer fields of a status that is not OK.
func appendStatus(dst []byte, st *status.Status) []byte {
	dst = hpack.AppendLiteral(dst, "grpc-status", strconv.FormatUint(uint64(st.Code()), 10), false)
	p := st.Proto()
	if msg := p.GetMessage(); msg != "" {
		dst = hpack.AppendLiteral(dst, "grpc-message", grpctext.EncodeMessage(msg), false)
	}
	if len(p.GetDetails()) > 0 {
		p.Message = strings.ToValidUTF8(p.Message, "�")
		if b, err := proto.Marshal(p); err == nil { // the details were encoded before; only the message could be at fault
			dst = hpack.AppendLiteral(dst, "grpc-status-details-bin", base64.RawStdEncoding.EncodeToString(b), false)
		}
	}
	return dst
}

// statusFields are the fields of trailers that make a status.
type statusFields struct {
	code    string // "": there is none
	message string
	details string
}

// read takes the fields that it knows.
func (s *statusFields) read(fields []hpack.Field) {
	for i := range fields {
		switch f := &fields[i]; f.Name {
		case "grpc-status":
			s.code = f.Value
		case "grpc-message":
			s.message = f.Value
		case "grpc-status-details-bin":
			s.details = f.Value
		}
	}
}

// err returns the error of the call; nil is OK.
func (s *statusFields) err() error {
	switch s.code {
	case "0":
		return nil
	case "":
		return status.Error(codes.Unknown, "the peer ended the call without a status")
	}
	code, err := strconv.ParseUint(s.code, 10, 32)
	if err != nil {
		return status.Errorf(codes.Unknown, "malformed grpc-status %q: %s", s.code, grpctext.DecodeMessage(s.message))
	}
	p := &spb.Status{Code: int32(code), Message: grpctext.DecodeMessage(s.message)}
	if s.details != "" {
		if b, err := grpctext.DecodeBinary(s.details); err == nil {
			detailed := new(spb.Status)
			if proto.Unmarshal([]byte(b), detailed) == nil && detailed.Code == p.Code {
				p = detailed
			}
		}
	}
	return status.FromProto(p).Err()
}

// httpCode is the code of a call that was answered with an HTTP status instead of a gRPC one (gRPC's http-grpc-status-mapping).
func httpCode(httpStatus int) codes.Code {
	switch httpStatus {
	case 400:
		return codes.Internal
	case 401:
		return codes.Unauthenticated
	case 403:
		return codes.PermissionDenied
	case 404:
		return codes.Unimplemented
	case 429, 502, 503, 504:
		return codes.Unavailable
	}
	return codes.Unknown
}

// grpcContent reports whether a content type is gRPC's, and its subtype in small letters: "" of plain "application/grpc".
func grpcContent(contentType string) (subtype string, ok bool) {
	const base = "application/grpc"
	if len(contentType) < len(base) || !strings.EqualFold(contentType[:len(base)], base) {
		return "", false
	}
	rest := contentType[len(base):]
	if rest == "" {
		return "", true
	}
	switch rest[0] {
	case '+':
		rest, _, _ = strings.Cut(rest[1:], ";")
		return strings.ToLower(strings.TrimSpace(rest)), true
	case ';', ' ':
		return "", true
	}
	return "", false
}
