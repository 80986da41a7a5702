package rpc

import (
	"context"
	"reflect"
	"strings"

	"github.com/hanse-go/hanse/internal/grpckeys"
	"github.com/hanse-go/hanse/resilience"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// The rules that grpc-go has for metadata, for the calls that no grpc-go sees.

// reservedKey reports whether the key belongs to the protocol: what users set by it is not sent.
func reservedKey(key string) bool {
	if key != "" && key[0] == ':' {
		return true
	}
	switch key {
	case "content-type", "user-agent", "grpc-message-type", "grpc-encoding", "grpc-message", "grpc-status", "grpc-timeout", "te":
		return true
	case "host": // a server drops it when there is an :authority
		return true
	}
	return false
}

// checkMetadata refuses what cannot be sent.
func checkMetadata(md metadata.MD) error {
	for key, values := range md {
		if err := checkPair(key, values...); err != nil {
			return err
		}
	}
	return nil
}

func checkPair(key string, values ...string) error {
	if key == "" {
		return status.Error(codes.Internal, "there is an empty key in the header")
	}
	if key[0] == ':' {
		return nil
	}
	for i := range len(key) {
		if c := key[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_') {
			return status.Errorf(codes.Internal, "header key %q contains illegal characters not in [0-9a-z-_.]", key)
		}
	}
	if strings.HasSuffix(key, "-bin") {
		return nil
	}
	for _, v := range values {
		for i := range len(v) {
			if v[i] < 0x20 || v[i] > 0x7e {
				return status.Errorf(codes.Internal, "header key %q contains value with non-printable ASCII characters", key)
			}
		}
	}
	return nil
}

// incomingValues returns the values that a call has for a key in small letters. They are not a copy, which is what grpc's functions take
// most of their time for, and must not be changed.
func incomingValues(ctx context.Context, key string) []string {
	if c, ok := ctx.(interface{ IncomingValues(key string) []string }); ok { // of a call by another protocol, that has not made its metadata
		return c.IncomingValues(key)
	}
	if md, ok := ctx.Value(grpckeys.Get().Incoming).(metadata.MD); ok {
		return md[key]
	}
	return metadata.ValueFromIncomingContext(ctx, key)
}

// addMetadata appends copies of md's values to dst and returns it.
func addMetadata(dst, md metadata.MD) metadata.MD {
	if len(md) == 0 {
		return dst
	}
	n := 0
	for _, v := range md {
		n += len(v)
	}
	if dst == nil {
		dst = make(metadata.MD, len(md))
	}
	all := make([]string, 0, n) // most keys are new: their values share this
	for k, v := range md {
		k = strings.ToLower(k)
		if had := dst[k]; had != nil {
			dst[k] = append(had, v...)
			continue
		}
		first := len(all)
		all = append(all, v...)
		dst[k] = all[first:len(all):len(all)]
	}
	return dst
}

// outgoingMetadata returns a copy of what a call with ctx sends as metadata, nil when that is nothing: what the program has put there, and
// the priority of the call that it serves.
func outgoingMetadata(ctx context.Context) (metadata.MD, error) {
	md, err := programMetadata(ctx)
	if p := resilience.PriorityOf(ctx); p != resilience.Normal && err == nil && md[resilience.PriorityKey] == nil {
		if md == nil {
			md = make(metadata.MD, 1)
		}
		md[resilience.PriorityKey] = []string{p.String()}
	}
	return md, err
}

// programMetadata returns a copy of the metadata that ctx has, checked and without reserved keys; nil when there is none.
func programMetadata(ctx context.Context) (metadata.MD, error) {
	md, ok := metadata.FromOutgoingContext(ctx) // a copy
	if !ok {
		return nil, nil
	}
	if key := upperCaseKey(ctx); key != "" {
		return nil, checkPair(key)
	}
	if err := checkMetadata(md); err != nil {
		return nil, err
	}
	for key := range md {
		if reservedKey(key) {
			delete(md, key)
		}
	}
	return md, nil
}

// upperCaseKey returns a key with capitals of the MD that was given to metadata.NewOutgoingContext, or "". grpc-go refuses such a key
// but hands it out in small letters, so this looks at the value in the context, as far as that has the known shape.
func upperCaseKey(ctx context.Context) string {
	raw := reflect.ValueOf(ctx.Value(grpckeys.Get().Outgoing))
	if raw.Kind() != reflect.Struct || raw.NumField() == 0 || raw.Field(0).Type() != reflect.TypeFor[metadata.MD]() {
		return ""
	}
	for _, key := range raw.Field(0).MapKeys() {
		if k := key.String(); k != strings.ToLower(k) {
			return k
		}
	}
	return ""
}

// addCredentials adds what the call's credentials say to md. auth is the security of the way that the call takes.
func addCredentials(ctx context.Context, md metadata.MD, method, authority string, creds credentials.PerRPCCredentials, auth credentials.AuthInfo) (metadata.MD, error) {
	ctx = credentials.NewContextWithRequestInfo(ctx, credentials.RequestInfo{Method: method, AuthInfo: auth})
	service := method[:max(strings.LastIndexByte(method, '/'), 0)]
	data, err := creds.GetRequestMetadata(ctx, "https://"+strings.TrimSuffix(authority, ":443")+service)
	if err != nil {
		st, ok := status.FromError(err)
		if !ok {
			return nil, status.Errorf(codes.Internal, "transport: per-RPC creds failed due to error: %v", err)
		}
		switch st.Code() {
		case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition, codes.Aborted, codes.OutOfRange, codes.DataLoss:
			// These speak about the call itself, and credentials cannot (gRFC A54).
			return nil, status.Errorf(codes.Internal, "transport: received per-RPC creds error with illegal status: %v", err)
		}
		return nil, err
	}
	for k, v := range data {
		k = strings.ToLower(k)
		if err := checkPair(k, v); err != nil {
			return nil, err
		}
		if md == nil {
			md = make(metadata.MD, len(data))
		}
		md[k] = append([]string{v}, md[k]...) // as on a wire, before the caller's own
	}
	return md, nil
}

// inProcessAuth tells credentials that a call within the process is as private as it can be: its metadata crosses no wire. So
// credentials that demand transport security are used in process also where there is no TLS.
var inProcessAuth credentials.AuthInfo = inProcessSecurity{credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}

type inProcessSecurity struct{ credentials.CommonAuthInfo }

func (inProcessSecurity) AuthType() string { return "inprocess" }
