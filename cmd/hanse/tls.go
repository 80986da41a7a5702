package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/spf13/cobra"
)

// tlsFlags say how a connection is secured.
type tlsFlags struct {
	on         bool
	cacert     string
	cert, key  string
	serverName string
	insecure   bool
}

// add adds the flags, named as users of grpcurl and curl know them.
func (f *tlsFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.on, "tls", false, "use TLS, and check the server's certificate by what this machine trusts; each of the next flags implies it")
	flags.StringVar(&f.cacert, "cacert", "", "trust the certificate authorities in this PEM `file` instead")
	flags.StringVar(&f.cert, "cert", "", "show the server the certificate in this PEM `file`; needs --key")
	flags.StringVar(&f.key, "key", "", "the PEM `file` with the private key of --cert")
	flags.StringVar(&f.serverName, "server-name", "", "expect the server's certificate to be for this `host` (default that of the target)")
	flags.BoolVar(&f.insecure, "insecure-skip-verify", false, "take any certificate: encrypted, but it may be anyone who answers")
}

// config returns how to secure the connection; nil is not at all.
func (f *tlsFlags) config() (*tls.Config, error) {
	if *f == (tlsFlags{}) {
		return nil, nil
	}
	c := &tls.Config{ServerName: f.serverName, InsecureSkipVerify: f.insecure}
	if f.insecure && f.cacert != "" {
		return nil, ui.Usagef("--cacert says whom to trust, and --insecure-skip-verify to trust anyone").Then("keep one of them")
	}
	if (f.cert == "") != (f.key == "") {
		return nil, ui.Usagef("--cert and --key belong together").Then("give both")
	}
	if f.cacert != "" {
		text, err := os.ReadFile(f.cacert)
		if err != nil {
			return nil, unreadable("--cacert", f.cacert, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, ui.Usagef("--cacert: %s has no certificate in PEM form", f.cacert).Then("it begins with -----BEGIN CERTIFICATE-----")
		}
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, unreadable("--cert and --key", f.cert+" and "+f.key, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// unreadable is the error for a file that a flag names.
func unreadable(flag, file string, err error) error {
	if missing, ok := errors.AsType[*fs.PathError](err); ok && errors.Is(err, fs.ErrNotExist) {
		return ui.Usagef("%s: there is no file %s", flag, missing.Path)
	}
	return ui.Usagef("%s: %s: %w", flag, file, err)
}
