package identity

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Names of files in a folder of [Files].
const (
	certFile = "tls.crt"
	keyFile  = "tls.key"
	bothFile = "tls.pem"
	caFile   = "ca.crt"
)

// servicePlaceholder in a path stands for the name of a service.
const servicePlaceholder = "{service}"

const (
	// pollInterval is how often Run looks at the files while no connection does.
	pollInterval = 5 * time.Second
	// settleTime is how long files may not belong together before the log tells of it: whoever replaces two does so one after the other.
	settleTime = 2 * time.Second
)

// Files is a [Source] of certificates that somebody else puts into files, and replaces in time: Kubernetes and cert-manager as a
// mounted secret, a SPIFFE helper, hanse dev.
//
//	app := &hanse.App{Identity: &identity.Files{Dir: "/run/secrets/tls"}}
//
// The files are read for each new connection, which costs little beside its handshake: so a new certificate counts at once, however it
// got there (written over, renamed, or by a symbolic link to another folder), and nothing is missed. Files that cannot be used, or do not
// belong together, change nothing: what was read last counts on, and the log tells of it. The chain in the certificate's file begins
// with the service's own; the file of authorities may have several, and while one takes another's place it must have both.
//
// The fields are set before first use. A Files must not be copied. Its methods are safe for concurrent use.
type Files struct {
	// Dir is the folder that has tls.crt (the certificate and those between it and the authority), tls.key and ca.crt (the
	// authorities that are believed), all in PEM form. A file tls.pem may have the first two together. In an app of several services
	// each has a folder of its own: {service} in Dir stands for a service's name.
	Dir string

	// Cert, Key and CA are the files, where they are elsewhere or have other names. {service} stands for a service's name in them, too.
	Cert, Key, CA string

	// Path is the path of the services' SPIFFE IDs, such as "ns/shop/sa/{service}". "" is "{service}".
	Path string

	// Logger is told of files that cannot be used. nil: slog.Default.
	Logger *slog.Logger

	mu      sync.Mutex
	pairs   map[string]*file[*tls.Certificate] // by service, by "" where all have the same
	roots   map[string]*file[*x509.CertPool]
	changed chan struct{} // closed at the next change; nil: nobody waits
}

// file is what was last read of some files.
type file[T any] struct {
	text    [][]byte // of which value was made
	value   T
	have    bool
	err     error // of the last attempt to read a newer one
	since   time.Time
	told    bool      // the log was told of err
	expires time.Time // of a certificate
	warned  bool      // the log was told that it ends soon
}

// ParseFiles reads what --identity takes: a folder, or cert=FILE,key=FILE,ca=FILE, with id=PATH for another [Files.Path].
func ParseFiles(text string) (*Files, error) {
	f := new(Files)
	if !strings.Contains(text, "=") {
		f.Dir = text
		return f, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		fields := map[string]*string{"dir": &f.Dir, "cert": &f.Cert, "key": &f.Key, "ca": &f.CA, "id": &f.Path}
		field := fields[strings.TrimSpace(name)]
		if field == nil || value == "" {
			return nil, fmt.Errorf("%q is not dir=, cert=, key=, ca= or id= with a value", part)
		}
		*field = strings.TrimSpace(value)
	}
	if f.Dir == "" && (f.Cert == "" || f.CA == "") {
		return nil, errors.New("a folder, or both cert= and ca= are needed; key= may be left out where the key is in the certificate's file")
	}
	return f, nil
}

// String says where the files are.
func (f *Files) String() string {
	if f.Dir != "" {
		return f.Dir
	}
	return f.Cert
}

// Certificate implements [Source]. The error is that of the first attempt to read the files; later ones keep what was read.
func (f *Files) Certificate(service string) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if service == "" && strings.Contains(f.Dir+f.Cert+f.Key, servicePlaceholder) {
		return nil, fmt.Errorf("identity: %s has certificates of services only, and the caller is none", f)
	}
	e := entry(&f.pairs, service)
	f.readPair(service, e)
	if !e.have {
		return nil, e.err
	}
	return e.value, nil
}

// Roots implements [Source].
func (f *Files) Roots() (*x509.CertPool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	service := ""
	if strings.Contains(f.caPath(servicePlaceholder), servicePlaceholder) {
		// Each folder has the same authorities: those of any service that was asked for will do.
		for name := range f.pairs {
			if service == "" || name < service {
				service = name
			}
		}
	}
	e := entry(&f.roots, service)
	f.readRoots(service, e)
	if !e.have {
		return nil, e.err
	}
	return e.value, nil
}

// Changed implements [Source]. Files notice a change when they are read: for a connection, or by Run.
func (f *Files) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.changed
}

// ServiceID implements [Namer], by Path.
func (f *Files) ServiceID(system, service string) ID {
	path := f.Path
	if path == "" {
		path = servicePlaceholder
	}
	return ID{System: system, Service: strings.ReplaceAll(path, servicePlaceholder, service)}
}

// Run looks at the files every 5 seconds until ctx ends, so that the log tells of trouble before it matters: of files that cannot be
// used, and of a certificate that ends soon and was not replaced. An App that has the Files runs it.
func (f *Files) Run(ctx context.Context) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		f.look()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// look reads all files that were asked for before.
func (f *Files) look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for service, e := range f.pairs {
		f.readPair(service, e)
		left := time.Until(e.expires)
		if e.have && !e.warned && left < e.value.Leaf.NotAfter.Sub(e.value.Leaf.NotBefore)/10 {
			e.warned = true
			f.logger().Error("the certificate ends soon and was not replaced: calls over new connections will fail", "service", service, "file", f.certPath(service), "ends", e.expires)
		}
	}
	for service, e := range f.roots {
		f.readRoots(service, e)
	}
}

func entry[T any](all *map[string]*file[T], service string) *file[T] {
	e := (*all)[service]
	if e == nil {
		e = new(file[T])
		if *all == nil {
			*all = make(map[string]*file[T])
		}
		(*all)[service] = e
	}
	return e
}

func (f *Files) readPair(service string, e *file[*tls.Certificate]) {
	paths := f.pairPaths(service)
	read(f, e, paths, func(text [][]byte) (*tls.Certificate, error) {
		pair, err := tls.X509KeyPair(text[0], text[len(text)-1])
		if err != nil {
			return nil, fmt.Errorf("identity: %s: %w", strings.Join(paths, " and "), err)
		}
		id, err := CertificateID(pair.Leaf)
		if err != nil {
			return nil, fmt.Errorf("%w (%s)", err, paths[0])
		}
		if want := f.ServiceID(id.System, service); service != "" && id != want {
			return nil, fmt.Errorf("identity: %s is the certificate of %s, and callers of %s want to see %s", paths[0], id, service, want)
		}
		if now := time.Now(); now.After(pair.Leaf.NotAfter) {
			f.logger().Error("the certificate has expired: new connections will fail", "file", paths[0], "id", id.String(), "ended", pair.Leaf.NotAfter)
		} else if now.Before(pair.Leaf.NotBefore) {
			f.logger().Error("the certificate is not good yet: new connections will fail; is the clock right?", "file", paths[0], "id", id.String(), "begins", pair.Leaf.NotBefore)
		}
		e.expires, e.warned = pair.Leaf.NotAfter, false
		return &pair, nil
	})
}

func (f *Files) readRoots(service string, e *file[*x509.CertPool]) {
	path := f.caPath(service)
	read(f, e, []string{path}, func(text [][]byte) (*x509.CertPool, error) {
		pool, n := x509.NewCertPool(), 0
		for rest := text[0]; ; n++ {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if block.Type != "CERTIFICATE" {
				return nil, fmt.Errorf("identity: %s: block %d is a %s, and only certificates of authorities belong there", path, n+1, block.Type)
			}
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("identity: %s: block %d: %w", path, n+1, err)
			}
			pool.AddCert(cert)
		}
		if n == 0 {
			return nil, fmt.Errorf("identity: %s has no certificate in PEM form", path)
		}
		return pool, nil
	})
}

// read makes the value anew when the files have changed. f.mu is held.
func read[T any](f *Files, e *file[T], paths []string, parse func([][]byte) (T, error)) {
	var err error
	for range 2 { // the second time sees the end of a change whose middle the first saw
		var text [][]byte
		if text, err = readAll(paths); err != nil {
			continue
		}
		if e.have && slices.EqualFunc(text, e.text, bytes.Equal) {
			err = nil
			break
		}
		var value T
		if value, err = parse(text); err != nil {
			continue
		}
		first := !e.have
		e.text, e.value, e.have = text, value, true
		if !first {
			f.logger().Debug("new files are in use", "files", strings.Join(paths, " "))
		}
		if f.changed != nil {
			close(f.changed)
			f.changed = nil
		}
		break
	}
	switch {
	case err == nil:
		if e.told {
			f.logger().Info("the files can be used again", "files", strings.Join(paths, " "))
		}
		e.err, e.told = nil, false
	case !e.have:
		e.err = err // whoever asked is told
	case e.err == nil:
		e.err, e.since = err, time.Now()
	case !e.told && time.Since(e.since) > settleTime:
		e.err, e.told = err, true
		f.logger().Error("new files cannot be used, and those from before count on", "error", err)
	}
}

func readAll(paths []string) ([][]byte, error) {
	var text [][]byte
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("identity: %w", err)
		}
		text = append(text, b)
	}
	return text, nil
}

// pairPaths returns the files of a certificate and its key, which may be one.
func (f *Files) pairPaths(service string) []string {
	switch cert := f.certPath(service); {
	case f.Key != "":
		return []string{cert, expand(f.Key, service)}
	case f.Cert != "":
		return []string{cert}
	default:
		both := filepath.Join(expand(f.Dir, service), bothFile)
		if _, err := os.Stat(both); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return []string{both}
		}
		return []string{cert, filepath.Join(expand(f.Dir, service), keyFile)}
	}
}

func (f *Files) certPath(service string) string {
	if f.Cert != "" {
		return expand(f.Cert, service)
	}
	return filepath.Join(expand(f.Dir, service), certFile)
}

func (f *Files) caPath(service string) string {
	if f.CA != "" {
		return expand(f.CA, service)
	}
	return filepath.Join(expand(f.Dir, service), caFile)
}

func expand(path, service string) string {
	return strings.ReplaceAll(path, servicePlaceholder, service)
}

func (f *Files) logger() *slog.Logger {
	if f.Logger != nil {
		return f.Logger
	}
	return slog.Default()
}
