package rpc

import (
	"errors"
	"testing"

	"github.com/hanse-go/hanse/internal/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestStatusFromTrailers(t *testing.T) {
	detailed, err := status.New(codes.NotFound, "größe").WithDetails(wrapperspb.String("why"))
	if err != nil {
		t.Fatal(err)
	}
	details := fieldsOf(t, appendStatus(nil, detailed))
	if len(details) != 3 {
		t.Fatalf("trailers: %v", details)
	}
	for _, tt := range []struct {
		name    string
		fields  []hpack.Field
		code    codes.Code
		message string
		details int
	}{
		{"OK", []hpack.Field{{Name: "grpc-status", Value: "0"}}, codes.OK, "", 0},
		{"OK with a message", []hpack.Field{{Name: "grpc-status", Value: "0"}, {Name: "grpc-message", Value: "fine"}}, codes.OK, "", 0},
		{"an error", []hpack.Field{{Name: "grpc-status", Value: "5"}, {Name: "grpc-message", Value: "gone%21"}}, codes.NotFound, "gone!", 0},
		{"without a message", []hpack.Field{{Name: "grpc-status", Value: "13"}}, codes.Internal, "", 0},
		{"an unknown code", []hpack.Field{{Name: "grpc-status", Value: "99"}}, codes.Code(99), "", 0},
		{"details", details, codes.NotFound, "größe", 1},
		{"details of another code", append(details[1:3:3], hpack.Field{Name: "grpc-status", Value: "7"}), codes.PermissionDenied, "größe", 0},
		{"broken details", []hpack.Field{{Name: "grpc-status", Value: "5"}, {Name: "grpc-message", Value: "m"}, {Name: "grpc-status-details-bin", Value: "!!"}}, codes.NotFound, "m", 0},
		{"no status", nil, codes.Unknown, "the peer ended the call without a status", 0},
		{"no number", []hpack.Field{{Name: "grpc-status", Value: "x"}, {Name: "grpc-message", Value: "m"}}, codes.Unknown, `malformed grpc-status "x": m`, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s statusFields
			s.read(tt.fields)
			st := status.Convert(s.err())
			if st.Code() != tt.code || st.Message() != tt.message || len(st.Details()) != tt.details {
				t.Errorf("got %v with %d details", st, len(st.Details()))
			}
		})
	}
	if st := status.Convert(errors.New("x")); st.Code() != codes.Unknown {
		t.Error(st)
	}
}

func TestGRPCContent(t *testing.T) {
	for s, want := range map[string]struct {
		subtype string
		ok      bool
	}{
		"application/grpc":                     {"", true},
		"application/grpc+proto":               {"proto", true},
		"Application/GRPC+JSON":                {"json", true},
		"application/grpc; charset=utf-8":      {"", true},
		"application/grpc+proto;charset=utf-8": {"proto", true},
		"application/grpc-web":                 {"", false},
		"application/grpc-web+proto":           {"", false},
		"application/grpcfoo":                  {"", false},
		"application/json":                     {"", false},
		"":                                     {"", false},
	} {
		if subtype, ok := grpcContent(s); subtype != want.subtype || ok != want.ok {
			t.Errorf("%q: %q, %t", s, subtype, ok)
		}
	}
}
