package identity_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/identity"
)

func TestParseID(t *testing.T) {
	for _, tt := range []struct {
		text string
		want identity.ID
		err  string // a part of the error; "": none
	}{
		{"spiffe://shop/cart", identity.ID{System: "shop", Service: "cart"}, ""},
		{"spiffe://shop-1.example_x.org/ns/a/sa/B.c_d-9", identity.ID{System: "shop-1.example_x.org", Service: "ns/a/sa/B.c_d-9"}, ""},
		{"", identity.ID{}, "spiffe://SYSTEM/SERVICE"},
		{"cart", identity.ID{}, "spiffe://SYSTEM/SERVICE"},
		{"https://shop/cart", identity.ID{}, "spiffe://SYSTEM/SERVICE"},
		{"SPIFFE://shop/cart", identity.ID{}, "spiffe://SYSTEM/SERVICE"},
		{"spiffe:///cart", identity.ID{}, "names no system"},
		{"spiffe://shop", identity.ID{}, "names no service"},
		{"spiffe://shop/", identity.ID{}, "names no service"},
		{"spiffe://shop/cart/", identity.ID{}, "empty segment"},
		{"spiffe://shop//cart", identity.ID{}, "empty segment"},
		{"spiffe://shop/../cart", identity.ID{}, `the segment ".."`},
		{"spiffe://shop/./cart", identity.ID{}, `the segment "."`},
		{"spiffe://Shop/cart", identity.ID{}, `no "S"`},
		{"spiffe://shop:8443/cart", identity.ID{}, `no ":"`},
		{"spiffe://me@shop/cart", identity.ID{}, `no "@"`},
		{"spiffe://shop/cart?x=1", identity.ID{}, `no "?"`},
		{"spiffe://shop/cart#x", identity.ID{}, `no "#"`},
		{"spiffe://shop/%63art", identity.ID{}, `no "%"`},
		{"spiffe://shop/ca rt", identity.ID{}, `no " "`},
		{"spiffe://" + strings.Repeat("a", 256) + "/cart", identity.ID{}, "longer than 255"},
		{"spiffe://shop/" + strings.Repeat("a", 2048), identity.ID{}, "longer than 2048"},
	} {
		got, err := identity.ParseID(tt.text)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("ParseID(%.60q) = %v, %v; want %v, %q", tt.text, got, err, tt.want, tt.err)
		}
		if err == nil && (got.String() != tt.text || got.URL().String() != tt.text) {
			t.Errorf("%q is written as %q, %q", tt.text, got, got.URL())
		}
	}
}

func TestIDText(t *testing.T) {
	type record struct{ Caller identity.ID }
	for _, want := range []record{{}, {identity.ID{System: "shop", Service: "cart"}}} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got := record{identity.ID{System: "old", Service: "old"}}
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	if err := json.Unmarshal([]byte(`{"Caller": "cart"}`), &record{}); err == nil {
		t.Error("a name is no ID")
	}
}

func TestCertificateID(t *testing.T) {
	cart := identity.ID{System: "shop", Service: "cart"}
	for name, tt := range map[string]struct {
		cert x509.Certificate
		want identity.ID
		err  string
	}{
		"one":   {x509.Certificate{URIs: []*url.URL{cart.URL()}}, cart, ""},
		"none":  {x509.Certificate{Subject: pkix.Name{CommonName: "cart"}}, identity.ID{}, `"CN=cart" has no SPIFFE ID`},
		"dns":   {x509.Certificate{DNSNames: []string{"cart.example.org"}}, identity.ID{}, `"cart.example.org" has no SPIFFE ID`},
		"two":   {x509.Certificate{URIs: []*url.URL{cart.URL(), cart.URL()}}, identity.ID{}, "2 URIs"},
		"other": {x509.Certificate{URIs: []*url.URL{{Scheme: "https", Host: "shop", Path: "/cart"}}}, identity.ID{}, "spiffe://SYSTEM/SERVICE"},
	} {
		got, err := identity.CertificateID(&tt.cert)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"spiffe://shop/cart", "spiffe://a/b/c", "spiffe://shop/%2e", "spiffe://s/.."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := identity.ParseID(s)
		if err != nil {
			if id != (identity.ID{}) {
				t.Errorf("%q: %v and %v", s, id, err)
			}
			return
		}
		if id.String() != s {
			t.Errorf("%q is written as %q", s, id)
		}
		if u, err := url.Parse(s); err != nil || u.Host != id.System || u.Path != "/"+id.Service {
			t.Errorf("package url reads %q as %v, %v", s, u, err)
		}
	})
}
