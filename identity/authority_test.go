package identity_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/identity"
)

func TestIssue(t *testing.T) {
	a := newAuthority(t, "shop")
	a.Lifetime = 10 * time.Minute
	cert, err := a.Issue("cart")
	if err != nil {
		t.Fatal(err)
	}
	if id, err := identity.CertificateID(cert.Leaf); err != nil || id.String() != "spiffe://shop/cart" {
		t.Errorf("%v, %v", id, err)
	}
	if left := time.Until(cert.Leaf.NotAfter); left > 10*time.Minute || left < 9*time.Minute {
		t.Errorf("it lasts for %v", left)
	}
	if cert.Leaf.IsCA || len(cert.Leaf.DNSNames)+len(cert.Leaf.IPAddresses) > 0 {
		t.Error("it has other names, or is an authority's")
	}
	for _, bad := range []string{"", "a b", "../x"} {
		if _, err := a.Issue(bad); err == nil {
			t.Errorf("a certificate for %q", bad)
		}
	}
	for _, bad := range []string{"", "Shop", "a/b"} {
		if _, err := identity.NewAuthority(bad); err == nil || !strings.Contains(err.Error(), "authority for the system") {
			t.Errorf("an authority for %q: %v", bad, err)
		}
	}
}

// TestAuthorityRenews holds that the authority as a source renews certificates when half of their time is over.
func TestAuthorityRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t, "shop")
		a.Lifetime = time.Hour
		first, err := a.Certificate("cart")
		if err != nil {
			t.Fatal(err)
		}
		at := func(after time.Duration) *tls.Certificate {
			time.Sleep(after)
			c, err := a.Certificate("cart")
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		if at(20*time.Minute) != first {
			t.Error("it was renewed early")
		}
		if c := at(20 * time.Minute); c == first || time.Until(c.Leaf.NotAfter) < 59*time.Minute {
			t.Error("it was not renewed")
		}
	})
}

func TestOpenAuthority(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shop")
	open := func(system string) *identity.Authority {
		t.Helper()
		a, err := identity.OpenAuthority(dir, system)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first, second := open("shop"), open("shop")
	if _, clientErr, serverErr := connect(t, identity.ServerConfig(first, "cart"), identity.ClientConfig(second, "checkout", "cart")); clientErr != nil || serverErr != nil {
		t.Errorf("the kept authority is another one: %v, %v", clientErr, serverErr)
	}
	if runtime.GOOS != "windows" {
		for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "ca.key"): 0o600, filepath.Join(dir, "ca.crt"): 0o600} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", path, info.Mode(), err)
			}
		}
	}
	if a := open("other"); a.System() != "other" {
		t.Errorf("opened for other, it is that of %q", a.System())
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open("shop").Issue("cart"); err != nil {
		t.Errorf("a damaged one is not replaced: %v", err)
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(filepath.Join(dir, "ca.key"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := identity.OpenAuthority(dir, "shop"); err == nil || !strings.Contains(err.Error(), "other users may read") {
			t.Errorf("a key that all may read: %v", err)
		}
	}
}

// TestOpenAuthorityEnds holds that one that ends within a month is made anew.
func TestOpenAuthorityEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		first, err := identity.OpenAuthority(dir, "shop")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(340 * 24 * time.Hour)
		second, err := identity.OpenAuthority(dir, "shop")
		if err != nil {
			t.Fatal(err)
		}
		cert, err := second.Certificate("cart")
		if err != nil {
			t.Fatal(err)
		}
		roots, err := first.Roots()
		if err != nil {
			t.Fatal(err)
		}
		if second, err := second.Roots(); err != nil || second.Equal(roots) || cert.Leaf.NotAfter.Before(time.Now()) {
			t.Errorf("it was not made anew: %v", err)
		}
	})
}
