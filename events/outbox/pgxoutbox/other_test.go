package pgxoutbox_test

import (
	"context"
	"database/sql/driver"
	"errors"
)

// other is a driver that is not pgx's, and can do nothing.
type other struct{}

var errNothing = errors.New("it can do nothing")

func (other) Connect(context.Context) (driver.Conn, error) { return other{}, nil }
func (other) Driver() driver.Driver                        { return nil }
func (other) Prepare(string) (driver.Stmt, error)          { return nil, errNothing }
func (other) Close() error                                 { return nil }
func (other) Begin() (driver.Tx, error)                    { return nil, errNothing }
