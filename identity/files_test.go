package identity_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/identity"
)

// secret is a folder as Kubernetes mounts a secret: its files are links through ..data, which is exchanged as a whole.
type secret struct {
	dir string
	n   int
}

func (s *secret) write(t *testing.T, cert *tls.Certificate, roots ...*identity.Authority) {
	t.Helper()
	s.n++
	version := filepath.Join(s.dir, "..v"+strings.Repeat("i", s.n))
	must(t, os.Mkdir(version, 0o700))
	crt, key := pemOf(t, cert)
	must(t, os.WriteFile(filepath.Join(version, "tls.crt"), crt, 0o600))
	must(t, os.WriteFile(filepath.Join(version, "tls.key"), key, 0o600))
	must(t, os.WriteFile(filepath.Join(version, "ca.crt"), rootsPEM(t, roots...), 0o600))
	next := filepath.Join(s.dir, "..next")
	must(t, os.Symlink(filepath.Base(version), next))
	must(t, os.Rename(next, filepath.Join(s.dir, "..data")))
	for _, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		if _, err := os.Lstat(filepath.Join(s.dir, name)); err != nil {
			must(t, os.Symlink(filepath.Join("..data", name), filepath.Join(s.dir, name)))
		}
	}
}

// logText is what was logged.
type logText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logText) Len() int { return len(l.String()) }

func (l *logText) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pemOf(t *testing.T, cert *tls.Certificate) (crt, key []byte) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func rootsPEM(t *testing.T, roots ...*identity.Authority) (text []byte) {
	t.Helper()
	for _, a := range roots {
		dir := t.TempDir()
		must(t, a.WriteFiles(dir, "x"))
		b, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
		must(t, err)
		text = append(text, b...)
	}
	return text
}

func serialOf(t *testing.T, f identity.Source, service string) string {
	t.Helper()
	c, err := f.Certificate(service)
	must(t, err)
	return c.Leaf.SerialNumber.String()
}

// TestFilesSecret holds that exchanged links are seen at once.
func TestFilesSecret(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege on Windows")
	}
	old, next := newAuthority(t, "shop"), newAuthority(t, "shop")
	s := &secret{dir: t.TempDir()}
	first := issue(t, old, "cart", -time.Hour, time.Hour)
	s.write(t, first, old)
	f := &identity.Files{Dir: s.dir}
	if got := serialOf(t, f, "cart"); got != first.Leaf.SerialNumber.String() {
		t.Error("another certificate")
	}
	changed := f.Changed()
	second := issue(t, next, "cart", -time.Hour, time.Hour)
	s.write(t, second, old, next)
	if got := serialOf(t, f, "cart"); got != second.Leaf.SerialNumber.String() {
		t.Error("the new certificate is not seen")
	}
	select {
	case <-changed:
	default:
		t.Error("the change is not told")
	}
	roots, err := f.Roots()
	must(t, err)
	want := x509.NewCertPool()
	old.AddTo(want)
	next.AddTo(want)
	if !roots.Equal(want) {
		t.Error("the new authorities are not seen")
	}
}

// TestFilesBroken holds that what cannot be used changes nothing, is logged once it lasts, and that what is mended counts.
func TestFilesBroken(t *testing.T) {
	for name, tt := range map[string]struct {
		crt, key, ca string // what replaces the good files, and "" where nothing does
		log          string
	}{
		"garbage":          {"garbage", "", "", "failed to find any PEM data"},
		"no file":          {"none", "", "", "no such file"},
		"half":             {"renewed", "", "", "private key does not match"},
		"other service":    {"catalog", "catalog", "", "is the certificate of spiffe://shop/catalog, and callers of cart want to see spiffe://shop/cart"},
		"no authority":     {"", "", "garbage", "has no certificate in PEM form"},
		"key as authority": {"", "", "key", "block 1 is a PRIVATE KEY"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority(t, "shop") // here, for the time of the bubble is another
				dir := t.TempDir()
				write := func(name, kind string, text []byte) {
					path := filepath.Join(dir, name)
					switch kind {
					case "none":
						must(t, os.Remove(path))
					case "garbage":
						must(t, os.WriteFile(path, []byte(kind), 0o600))
					default:
						must(t, os.WriteFile(path, text, 0o600))
					}
				}
				crt, key := make(map[string][]byte), make(map[string][]byte)
				crt["good"], key["good"] = pemOf(t, issue(t, a, "cart", -time.Hour, time.Hour))
				crt["renewed"], key["renewed"] = pemOf(t, issue(t, a, "cart", -time.Hour, time.Hour))
				crt["catalog"], key["catalog"] = pemOf(t, issue(t, a, "catalog", -time.Hour, time.Hour))
				ca := map[string][]byte{"good": rootsPEM(t, a), "key": key["good"]}
				write("tls.crt", "", crt["good"])
				write("tls.key", "", key["good"])
				write("ca.crt", "", ca["good"])
				var log logText
				f := &identity.Files{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))}
				before := serialOf(t, f, "cart")
				roots, err := f.Roots()
				must(t, err)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- f.Run(ctx) }()
				synctest.Wait()

				for name, change := range map[string]struct {
					kind string
					of   map[string][]byte
				}{"tls.crt": {tt.crt, crt}, "tls.key": {tt.key, key}, "ca.crt": {tt.ca, ca}} {
					if change.kind != "" {
						write(name, change.kind, change.of[change.kind])
					}
				}
				check := func() {
					t.Helper()
					if got := serialOf(t, f, "cart"); got != before {
						t.Error("the certificate is gone")
					}
					if now, err := f.Roots(); err != nil || !now.Equal(roots) {
						t.Errorf("the authorities are gone: %v", err)
					}
				}
				check()
				if log.Len() > 0 {
					t.Errorf("it is logged while it may be half of a change: %s", &log)
				}
				time.Sleep(6 * time.Second)
				synctest.Wait()
				check()
				time.Sleep(time.Minute)
				synctest.Wait()
				if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), tt.log) {
					t.Errorf("%d lines, want one with %q:\n%s", n, tt.log, &log)
				}
				log.Reset()
				write("tls.crt", "", crt["renewed"])
				write("tls.key", "", key["renewed"])
				write("ca.crt", "", ca["good"])
				if serialOf(t, f, "cart") == before {
					t.Error("the mended files do not count")
				}
				time.Sleep(6 * time.Second)
				synctest.Wait()
				if !strings.Contains(log.String(), "can be used again") {
					t.Errorf("the log does not tell that it is well: %s", &log)
				}
				cancel()
				must(t, <-done)
			})
		})
	}
}

// TestFilesFirst holds what is said when there is nothing yet to keep.
func TestFilesFirst(t *testing.T) {
	dir := t.TempDir()
	f := &identity.Files{Dir: dir}
	if _, err := f.Certificate("cart"); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "tls.crt")) {
		t.Errorf("no files: %v", err)
	}
	if _, err := f.Roots(); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "ca.crt")) {
		t.Errorf("no authorities: %v", err)
	}
	must(t, newAuthority(t, "shop").WriteFiles(dir, "cart"))
	if _, err := f.Certificate("cart"); err != nil {
		t.Errorf("the files have come: %v", err)
	}
	if _, err := f.Certificate("catalog"); err == nil || !strings.Contains(err.Error(), "callers of catalog want to see") {
		t.Errorf("the certificate of cart for catalog: %v", err)
	}
	if _, err := f.Certificate(""); err != nil {
		t.Errorf("a program that is no service: %v", err)
	}
}

// TestFilesOfServices holds that {service} leads to each service's own.
func TestFilesOfServices(t *testing.T) {
	a := newAuthority(t, "shop")
	dir := t.TempDir()
	for _, service := range []string{"cart", "catalog"} {
		must(t, a.WriteFiles(filepath.Join(dir, service), service))
	}
	f := &identity.Files{Dir: filepath.Join(dir, "{service}")}
	for _, service := range []string{"cart", "catalog"} {
		c, err := f.Certificate(service)
		must(t, err)
		if id, err := identity.CertificateID(c.Leaf); err != nil || id.Service != service {
			t.Errorf("%s has %v, %v", service, id, err)
		}
	}
	roots, err := f.Roots()
	must(t, err)
	if want, _ := a.Roots(); !roots.Equal(want) {
		t.Error("other authorities")
	}
	if _, err := f.Certificate(""); err == nil || !strings.Contains(err.Error(), "of services only") {
		t.Errorf("a program that is no service: %v", err)
	}
}

// TestFilesEnd holds that the log tells in time of a certificate that nobody replaces.
func TestFilesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		must(t, newAuthority(t, "shop").WriteFiles(dir, "cart")) // for an hour
		var log logText
		f := &identity.Files{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		serialOf(t, f, "cart")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- f.Run(ctx) }()
		time.Sleep(50 * time.Minute)
		synctest.Wait()
		if log.Len() > 0 {
			t.Errorf("too early: %s", &log)
		}
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		if strings.Count(log.String(), "ends soon") != 1 {
			t.Errorf("want one line: %s", &log)
		}
		cancel()
		must(t, <-done)
	})
}

func TestParseFiles(t *testing.T) {
	for text, want := range map[string]*identity.Files{
		"/run/tls":                             {Dir: "/run/tls"},
		"/run/{service}":                       {Dir: "/run/{service}"},
		"cert=/a.pem,ca=/c.pem":                {Cert: "/a.pem", CA: "/c.pem"},
		"cert=/a,key=/b,ca=/c,id=ns/{service}": {Cert: "/a", Key: "/b", CA: "/c", Path: "ns/{service}"},
		"dir=/run/tls,id=sa/{service}":         {Dir: "/run/tls", Path: "sa/{service}"},
		"cert=/a.pem":                          nil,
		"cert=":                                nil,
		"crt=/a.pem,ca=/c.pem":                 nil,
	} {
		got, err := identity.ParseFiles(text)
		if (err == nil) != (want != nil) {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if want != nil && (got.Dir != want.Dir || got.Cert != want.Cert || got.Key != want.Key || got.CA != want.CA || got.Path != want.Path) {
			t.Errorf("%s: %+v", text, got)
		}
	}
}
