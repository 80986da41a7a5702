package oidc

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// UnaryInterceptor is a [grpc.UnaryServerInterceptor]. A call without a right token fails with Unauthenticated, and one that cannot be
// judged, because the issuer does not answer, with Unavailable.
func (v *Verifier) UnaryInterceptor(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, err := v.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return handler(ctx, req)
}

// StreamInterceptor is a [grpc.StreamServerInterceptor]: UnaryInterceptor for streams. The token is looked at when a stream begins; the
// handler of one that lasts may look at Expires itself.
func (v *Verifier) StreamInterceptor(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, err := v.admit(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	return handler(srv, &userStream{stream, ctx})
}

// userStream is a stream whose context has the user.
type userStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *userStream) Context() context.Context { return s.ctx }

// admit returns the context with the user, or the status of a call that is not let in.
func (v *Verifier) admit(ctx context.Context, method string) (context.Context, error) {
	raw, err := bearer(metadata.ValueFromIncomingContext(ctx, "authorization"))
	var token *Token
	switch {
	case err != nil:
	case raw == "" && (v.Optional || v.public(method)):
		return ctx, nil
	case raw == "":
		err = errors.New(`there is none: send the metadata "authorization: Bearer TOKEN"`)
	default:
		token, err = v.Verify(ctx, raw)
	}
	if err != nil {
		if cannot := (*unavailable)(nil); errors.As(err, &cannot) {
			return nil, status.Error(codes.Unavailable, "the token of the call cannot be verified now: its issuer does not answer as it should; see the server's log")
		}
		if wrong := v.check(); wrong != nil {
			return nil, status.Error(codes.Internal, wrong.Error())
		}
		return nil, status.Errorf(codes.Unauthenticated, "the token of the call: %v", err)
	}
	return NewContext(ctx, token), nil
}

// bearer returns the token in the values of "authorization", "" if there are none.
func bearer(values []string) (string, error) {
	switch len(values) {
	case 0:
		return "", nil
	case 1:
	default:
		return "", errors.New("there are several authorizations")
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", errors.New(`the authorization is not "Bearer TOKEN"`)
	}
	return token, nil
}

// public reports whether a method needs no token.
func (v *Verifier) public(method string) bool {
	for _, p := range v.Public {
		p = "/" + strings.TrimPrefix(p, "/")
		if stem, open := strings.CutSuffix(p, "*"); method == p || open && strings.HasPrefix(method, stem) {
			return true
		}
	}
	for _, contract := range []string{"/grpc.health.v1.Health/", "/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/"} {
		if strings.HasPrefix(method, contract) {
			return true
		}
	}
	return false
}

// Handler returns a handler that lets in requests with a right token, which [FromContext] then finds. Others are answered 401, or 503 when
// the issuer does not answer. Public does not count here.
func (v *Verifier) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := metadata.NewIncomingContext(r.Context(), metadata.MD{"authorization": r.Header.Values("Authorization")})
		ctx, err := v.admit(ctx, "")
		switch status.Code(err) {
		case codes.OK:
			if token, ok := FromContext(ctx); ok {
				r = r.WithContext(NewContext(r.Context(), token))
			}
			next.ServeHTTP(w, r)
			return
		case codes.Unauthenticated:
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, status.Convert(err).Message(), http.StatusUnauthorized)
		case codes.Unavailable:
			http.Error(w, status.Convert(err).Message(), http.StatusServiceUnavailable)
		default:
			http.Error(w, status.Convert(err).Message(), http.StatusInternalServerError)
		}
	})
}
