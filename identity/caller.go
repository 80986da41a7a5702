package identity

import (
	"context"
	"crypto/tls"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Caller returns who made the call, or the HTTP request, whose context this is. It returns false where nobody knows: on a connection
// without TLS, and from a client that showed no certificate, or one without a SPIFFE ID.
//
// Between processes it is the ID in the client's certificate, which the TLS handshake verified, over TCP and over unix sockets. Within a
// process it is the service whose Conn made the call, by construction. What a caller sends, metadata above all, has no say in it. It is
// the caller of this hop: who called that one, it may tell in its request.
func Caller(ctx context.Context) (ID, bool) {
	if id, ok := ctx.Value(CallerKey{}).(ID); ok {
		return id, id != ID{}
	}
	// A server that is not Hanse's, such as one of grpc-go.
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			return PeerID(&info.State)
		}
	}
	return ID{}, false
}

// CallerKey is the key under which a context has the [ID] of the caller; the zero ID says that it is not known. It is there for whoever
// makes contexts for handlers, such as package rpc and tests of handlers:
//
//	ctx := context.WithValue(t.Context(), identity.CallerKey{}, identity.ID{System: "shop", Service: "cart"})
type CallerKey struct{}

// PeerID returns who is at the other end of a TLS connection: the SPIFFE ID in the certificate that was verified in the handshake. It
// returns false when there is none, and for a certificate that was only shown: crypto/tls itself must have verified it, as it does for
// a server with ClientAuth at VerifyClientCertIfGiven or RequireAndVerifyClientCert.
func PeerID(state *tls.ConnectionState) (ID, bool) {
	if len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return ID{}, false
	}
	id, err := CertificateID(state.VerifiedChains[0][0])
	return id, err == nil
}
