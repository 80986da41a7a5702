//go:build unix

package e2e_test

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"

	"github.com/hanse-go/hanse"
	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	"github.com/hanse-go/hanse/identity"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// certificateLife makes hanse dev renew certificates every 5 s, whatever else is tested meanwhile.
const certificateLife = "15s"

// testIdentity holds who may call a service of the shop, and that certificates are renewed without a call being lost.
func testIdentity(t *testing.T, s *system) {
	t.Setenv("HANSE_SYSTEM", "shop")
	t.Setenv("HANSE_LOG_LEVEL", "error")
	app, err := hanse.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	addr := ""
	for _, e := range s.ps(t, "catalog")[0].Endpoints {
		if tcp, ok := strings.CutPrefix(e, "tcp://"); ok {
			addr = tcp
		}
	}
	foreign, err := identity.NewAuthority("shop")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		creds credentials.TransportCredentials
		want  codes.Code
	}{
		"plaintext":           {insecure.NewCredentials(), codes.Unauthenticated},
		"no certificate":      {credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}), codes.Unavailable},
		"foreign":             {credentials.NewTLS(identity.ClientConfig(foreign, "storefront", "catalog")), codes.Unavailable},
		"of the shop":         {credentials.NewTLS(identity.ClientConfig(app.Identity, "storefront", "catalog")), codes.OK},
		"wants another there": {credentials.NewTLS(identity.ClientConfig(app.Identity, "storefront", "payment")), codes.Unavailable},
	} {
		cc, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(tt.creds), grpc.WithNoProxy())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), timeout())
		_, err = catalogv1.NewCatalogClient(cc).ListProducts(ctx, &catalogv1.ListProductsRequest{})
		cancel()
		cc.Close()
		if status.Code(err) != tt.want {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}

	serial := func() string {
		conn, err := tls.Dial("tcp", addr, identity.ClientConfig(app.Identity, "storefront", "catalog"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	tr := begin(t)
	seen := serial()
	for range 2 {
		s.await(t, "the certificate of catalog is renewed", func() bool {
			now := serial()
			renewed := now != seen
			seen = now
			return renewed
		})
		tr.flowing(s, uint64(rate()))
	}
	tr.end()
}
