package identity_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"testing"

	"github.com/hanse-go/hanse/identity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

func TestCaller(t *testing.T) {
	cart := identity.ID{System: "shop", Service: "cart"}
	certificate := &x509.Certificate{URIs: []*url.URL{cart.URL()}}
	chain := [][]*x509.Certificate{{certificate, {}}}
	withTLS := func(state tls.ConnectionState) context.Context {
		// SPIFFEID is what grpc reads from a certificate that nobody needs to have verified.
		return peer.NewContext(t.Context(), &peer.Peer{AuthInfo: credentials.TLSInfo{State: state, SPIFFEID: cart.URL()}})
	}
	_, plaintext, _ := insecure.NewCredentials().ServerHandshake(nil)
	for name, tt := range map[string]struct {
		ctx  context.Context
		want identity.ID
	}{
		"nothing":          {t.Context(), identity.ID{}},
		"no AuthInfo":      {peer.NewContext(t.Context(), &peer.Peer{}), identity.ID{}},
		"plaintext":        {peer.NewContext(t.Context(), &peer.Peer{AuthInfo: plaintext}), identity.ID{}},
		"verified":         {withTLS(tls.ConnectionState{PeerCertificates: chain[0], VerifiedChains: chain}), cart},
		"only shown":       {withTLS(tls.ConnectionState{PeerCertificates: chain[0]}), identity.ID{}},
		"no ID":            {withTLS(tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}), identity.ID{}},
		"empty chain":      {withTLS(tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{}}}), identity.ID{}},
		"two IDs":          {withTLS(tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{URIs: []*url.URL{cart.URL(), cart.URL()}}}}}), identity.ID{}},
		"given":            {context.WithValue(t.Context(), identity.CallerKey{}, cart), cart},
		"given as nobody":  {context.WithValue(withTLS(tls.ConnectionState{VerifiedChains: chain}), identity.CallerKey{}, identity.ID{}), identity.ID{}},
		"given as a text":  {context.WithValue(t.Context(), identity.CallerKey{}, cart.String()), identity.ID{}},
		"told in metadata": {metadata.NewIncomingContext(t.Context(), metadata.Pairs("spiffe-id", cart.String(), "x-forwarded-client-cert", "URI="+cart.String())), identity.ID{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, known := identity.Caller(tt.ctx)
			if got != tt.want || known != (tt.want != identity.ID{}) {
				t.Errorf("%v, %v; want %v", got, known, tt.want)
			}
		})
	}
}
