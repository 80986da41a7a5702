package sqltrace

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"sync"
	"time"
)

// Open is [sql.Open] of a database whose statements are told. The error is that of sql.Open.
func Open(driverName, dataSourceName string, options Options) (*sql.DB, error) {
	db, err := sql.Open(driverName, dataSourceName) // which connects with nothing
	if err != nil || options.off() {
		return db, err
	}
	d := db.Driver()
	if err := db.Close(); err != nil {
		return nil, err
	}
	if with, ok := d.(driver.DriverContext); ok {
		c, err := with.OpenConnector(dataSourceName)
		if err != nil {
			return nil, err
		}
		return Wrap(c, options), nil
	}
	return Wrap(source{d, dataSourceName}, options), nil
}

// Wrap is [sql.OpenDB] of a database whose statements are told, and its pool, until it is closed. What [sql.Conn.Raw] is given has a method Raw() driver.Conn,
// which returns the driver's own connection.
func Wrap(c driver.Connector, options Options) *sql.DB {
	r := NewRecorder(options)
	if r == nil {
		return sql.OpenDB(c)
	}
	own := &connector{Connector: c, r: r}
	db := sql.OpenDB(own)
	own.stop = sync.OnceFunc(r.ObservePool(func() PoolState {
		s := db.Stats()
		return PoolState{Idle: s.Idle, Used: s.InUse, Max: s.MaxOpenConnections}
	}))
	return db
}

// source is the connector of a driver that has none.
type source struct {
	driver driver.Driver
	name   string
}

func (s source) Connect(context.Context) (driver.Conn, error) { return s.driver.Open(s.name) }
func (s source) Driver() driver.Driver                        { return s.driver }

// connector makes connections that tell.
type connector struct {
	driver.Connector
	r    *Recorder
	stop func()
}

// Connect implements [driver.Connector].
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	began := time.Now()
	inner, err := c.Connector.Connect(ctx)
	c.r.Connected(ctx, began, err)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: inner, r: c.r}, nil
}

// Close is called when the database is closed.
func (c *connector) Close() error {
	c.stop()
	if inner, ok := c.Connector.(io.Closer); ok {
		return inner.Close()
	}
	return nil
}

// tell tells of a statement, unless the driver has declined to do it in this way, for then database/sql does it in another.
func (r *Recorder) tell(ctx context.Context, began time.Time, query string, err error) {
	if !errors.Is(err, driver.ErrSkip) {
		r.Query(ctx, began, query, -1, err)
	}
}
