package sqltrace

import (
	"context"
	"database/sql/driver"
	"time"
)

// stmt is a prepared statement that tells when it is done.
type stmt struct {
	driver.Stmt
	c     *conn
	query string
}

// ExecContext implements [driver.StmtExecContext].
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (result driver.Result, err error) {
	began := time.Now()
	if inner, ok := s.Stmt.(driver.StmtExecContext); ok {
		result, err = inner.ExecContext(ctx, args)
	} else {
		var values []driver.Value
		if values, err = unnamed(ctx, args); err == nil {
			result, err = s.Stmt.Exec(values) //lint:ignore SA1019 there is no other
		}
	}
	s.c.r.tell(ctx, began, s.query, err)
	return result, err
}

// QueryContext implements [driver.StmtQueryContext].
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (rows driver.Rows, err error) {
	began := time.Now()
	if inner, ok := s.Stmt.(driver.StmtQueryContext); ok {
		rows, err = inner.QueryContext(ctx, args)
	} else {
		var values []driver.Value
		if values, err = unnamed(ctx, args); err == nil {
			rows, err = s.Stmt.Query(values) //lint:ignore SA1019 there is no other
		}
	}
	if err != nil {
		s.c.r.tell(ctx, began, s.query, err)
		return nil, err
	}
	return newRows(ctx, s.c.r, began, s.query, rows), nil
}

// CheckNamedValue implements [driver.NamedValueChecker]: with the statement's, else the connection's, as database/sql does.
func (s *stmt) CheckNamedValue(v *driver.NamedValue) error {
	if inner, ok := s.Stmt.(driver.NamedValueChecker); ok {
		return inner.CheckNamedValue(v)
	}
	return s.c.CheckNamedValue(v)
}

// convertingStmt is one of a driver that converts arguments by columns.
type convertingStmt struct {
	*stmt
	driver.ColumnConverter
}
