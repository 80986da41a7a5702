package identity_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

	"github.com/hanse-go/hanse/identity"
)

// What is exported of a source is what the source shows, and files are replaced only by other ones.
func TestExport(t *testing.T) {
	a, err := identity.NewAuthority("shop")
	if err != nil {
		t.Fatal(err)
	}
	written := t.TempDir()
	if err := a.WriteFiles(written, "reviews"); err != nil {
		t.Fatal(err)
	}
	files := &identity.Files{Dir: written}
	for name, src := range map[string]identity.Source{"authority": a, "files": files} {
		dir := filepath.Join(t.TempDir(), "new")
		e, err := identity.Export(src, "reviews", dir)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		pair, err := tls.LoadX509KeyPair(e.Cert, e.Key)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want, err := src.Certificate("reviews")
		if err != nil || !pair.Leaf.Equal(want.Leaf) {
			t.Errorf("%s: another certificate than the source's: %v", name, err)
		}
		if info, err := os.Stat(e.Key); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: the key's file is open to others: %v, %v", name, info.Mode(), err)
		}
		// What was exported is a source itself, which believes what the first one does.
		again := &identity.Files{Cert: e.Cert, Key: e.Key, CA: e.CA}
		if pool, err := again.Roots(); err != nil || !pool.Equal(rootsOf(t, src)) {
			t.Errorf("%s: other authorities: %v", name, err)
		}
		before, _ := os.Stat(e.Cert)
		if _, err := identity.Export(src, "reviews", dir); err != nil {
			t.Fatal(err)
		}
		if after, _ := os.Stat(e.Cert); !os.SameFile(before, after) {
			t.Errorf("%s: the same certificate was written again", name)
		}
	}
	if _, err := identity.Export(struct{ identity.Source }{a}, "reviews", t.TempDir()); err == nil {
		t.Error("a source without files was exported")
	}
}

func rootsOf(t *testing.T, src identity.Source) *x509.CertPool {
	t.Helper()
	pool, err := src.Roots()
	must(t, err)
	return pool
}
