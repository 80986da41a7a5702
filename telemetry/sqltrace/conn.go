package sqltrace

import (
	"context"
	"database/sql/driver"
	"errors"
	"time"
)

// conn is a connection that tells. It has all the optional methods, and does what database/sql would where the driver's has not.
type conn struct {
	driver.Conn
	r *Recorder
}

// Raw returns the driver's connection.
func (c *conn) Raw() driver.Conn { return c.Conn }

// ExecContext implements [driver.ExecerContext].
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (result driver.Result, err error) {
	inner, ok := c.Conn.(driver.ExecerContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	began := time.Now()
	result, err = inner.ExecContext(ctx, query, args)
	c.r.tell(ctx, began, query, err)
	return result, err
}

// QueryContext implements [driver.QueryerContext].
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (rows driver.Rows, err error) {
	inner, ok := c.Conn.(driver.QueryerContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	began := time.Now()
	rows, err = inner.QueryContext(ctx, query, args)
	if err != nil {
		c.r.tell(ctx, began, query, err)
		return nil, err
	}
	return newRows(ctx, c.r, began, query, rows), nil
}

// Prepare implements [driver.Conn].
func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// PrepareContext implements [driver.ConnPrepareContext].
func (c *conn) PrepareContext(ctx context.Context, query string) (inner driver.Stmt, err error) {
	began := time.Now()
	if with, ok := c.Conn.(driver.ConnPrepareContext); ok {
		inner, err = with.PrepareContext(ctx, query)
	} else if inner, err = c.Conn.Prepare(query); err == nil && ctx.Err() != nil {
		_ = inner.Close()
		return nil, ctx.Err()
	}
	if err != nil { // it will not be done, so this is all that there is to tell
		c.r.tell(ctx, began, query, err)
		return nil, err
	}
	s := &stmt{Stmt: inner, c: c, query: query}
	//lint:ignore SA1019 drivers have it still
	if converter, ok := inner.(driver.ColumnConverter); ok {
		return convertingStmt{s, converter}, nil
	}
	return s, nil
}

// BeginTx implements [driver.ConnBeginTx].
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (inner driver.Tx, err error) {
	began := time.Now()
	if with, ok := c.Conn.(driver.ConnBeginTx); ok {
		inner, err = with.BeginTx(ctx, opts)
	} else {
		inner, err = c.begin(ctx, opts)
	}
	c.r.Operation(ctx, began, "BEGIN", "", 1, err)
	if err != nil {
		return nil, err
	}
	return &tx{Tx: inner, r: c.r, ctx: ctx}, nil
}

// begin is for drivers that know no options.
func (c *conn) begin(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	switch {
	case opts.Isolation != 0:
		return nil, errors.New("sql: driver does not support non-default isolation level")
	case opts.ReadOnly:
		return nil, errors.New("sql: driver does not support read-only transactions")
	}
	inner, err := c.Conn.Begin() //lint:ignore SA1019 there is no other
	if err == nil && ctx.Err() != nil {
		_ = inner.Rollback()
		return nil, ctx.Err()
	}
	return inner, err
}

// Ping implements [driver.Pinger].
func (c *conn) Ping(ctx context.Context) error {
	if inner, ok := c.Conn.(driver.Pinger); ok {
		return inner.Ping(ctx)
	}
	return nil
}

// ResetSession implements [driver.SessionResetter].
func (c *conn) ResetSession(ctx context.Context) error {
	if inner, ok := c.Conn.(driver.SessionResetter); ok {
		return inner.ResetSession(ctx)
	}
	return nil
}

// IsValid implements [driver.Validator].
func (c *conn) IsValid() bool {
	inner, ok := c.Conn.(driver.Validator)
	return !ok || inner.IsValid()
}

// CheckNamedValue implements [driver.NamedValueChecker].
func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if inner, ok := c.Conn.(driver.NamedValueChecker); ok {
		return inner.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

// unnamed is for drivers from before contexts.
func unnamed(ctx context.Context, named []driver.NamedValue) ([]driver.Value, error) {
	values := make([]driver.Value, len(named))
	for i, v := range named {
		if v.Name != "" {
			return nil, errors.New("sql: driver does not support the use of Named Parameters")
		}
		values[i] = v.Value
	}
	return values, ctx.Err()
}

// tx is a transaction that tells how it ends.
type tx struct {
	driver.Tx
	r   *Recorder
	ctx context.Context // of its beginning
}

// Commit implements [driver.Tx].
func (t *tx) Commit() error {
	began := time.Now()
	err := t.Tx.Commit()
	t.r.Operation(t.ctx, began, "COMMIT", "", 1, err)
	return err
}

// Rollback implements [driver.Tx].
func (t *tx) Rollback() error {
	began := time.Now()
	err := t.Tx.Rollback()
	t.r.Operation(t.ctx, began, "ROLLBACK", "", 1, err)
	return err
}
