//go:build !unix

// Package postgrestest runs a real PostgreSQL as a child process, for tests and measurements. It does so on Unix only.
package postgrestest

import (
	"context"
	"errors"
)

// ErrNotInstalled says that this machine has no PostgreSQL.
var ErrNotInstalled = errors.New("PostgreSQL is started on Unix only")

// Server is a PostgreSQL, elsewhere.
type Server struct{}

// Start fails with [ErrNotInstalled].
func Start(context.Context, ...string) (*Server, error) { return nil, ErrNotInstalled }

// Run fails with [ErrNotInstalled].
func (*Server) Run(context.Context) error { return ErrNotInstalled }

// URL returns nothing.
func (*Server) URL(string) string { return "" }

// NewDatabase fails with [ErrNotInstalled].
func (*Server) NewDatabase(context.Context) (string, error) { return "", ErrNotInstalled }

// End does nothing.
func (*Server) End() {}

// Stop does nothing.
func (*Server) Stop() {}
