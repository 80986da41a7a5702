package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/identity"
	"github.com/hanse-go/hanse/internal/systems"
	"github.com/spf13/cobra"
)

// cliIdentity is who this command is in a system that hanse dev runs with certificates: spiffe://SYSTEM/hanse-cli.
const cliIdentity = "hanse-cli"

// identityFlag gives cmd the flag --identity.
func identityFlag(cmd *cobra.Command) *named {
	return namedFlag(cmd, "identity", "HANSE_IDENTITY", "show the certificate in this `folder` (tls.crt, tls.key, ca.crt; or cert=FILE,key=FILE,ca=FILE) and demand that of the service; off: plaintext (default that of hanse dev for its system)")
}

// findIdentity returns who this command is towards services at the place: as --identity says, or the context that names the place, else by
// the authority of the system that hanse dev runs. It returns nil for nobody.
func findIdentity(who *named, p *place) (identity.Source, error) {
	flag, says := who.name, "--identity"
	if p != nil && p.context != nil && p.context.Identity != "" && !who.given() {
		flag, says = p.context.Identity, "identity of "+p.name
	}
	if flag == "off" {
		return nil, nil
	}
	if flag != "" {
		files, err := identity.ParseFiles(flag)
		if err != nil {
			return nil, ui.Usagef("%s: %w", says, err)
		}
		if _, err := files.Certificate(""); err != nil {
			return nil, ui.Usagef("%s: %w", says, err)
		}
		return files, nil
	}
	if p == nil || p.certified == nil || p.certified.Identity == "" {
		return nil, nil
	}
	a, err := identity.LoadAuthority(p.certified.Identity)
	if err != nil {
		return nil, fmt.Errorf("the certificates of the system %s: %w", p.certified.Name, err)
	}
	return cli{a, cliIdentity}, nil
}

// cli is the authority as this command uses it.
type cli struct {
	authority *identity.Authority
	name      string // of what is no service
}

// Certificate implements identity.Source.
func (c cli) Certificate(service string) (*tls.Certificate, error) {
	return c.authority.Certificate(cmp.Or(service, c.name))
}

// Roots implements identity.Source.
func (c cli) Roots() (*x509.CertPool, error) { return c.authority.Roots() }

// Changed implements identity.Source.
func (c cli) Changed() <-chan struct{} { return nil }

// ofRegistry returns the running system whose registry is one of the urls, or nil.
func ofRegistry(urls []string) (*systems.System, error) {
	running, err := systems.List()
	if err != nil {
		return nil, err
	}
	for _, s := range running {
		if slices.Contains(urls, s.Registry) {
			return &s, nil
		}
	}
	return nil, nil
}
