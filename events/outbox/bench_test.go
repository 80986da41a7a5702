package outbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/outbox"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// BenchmarkRelay moves events out of a full outbox to a broker in memory.
func BenchmarkRelay(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			d := sqliteDatabase(b.TempDir())
			if kind == "postgres" {
				s, err := server()
				if err != nil {
					b.Skip(err)
				}
				source, err := s.NewDatabase(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				d = database{driver: "pgx", source: source}
			}
			db, err := d.pool()
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			if err := outbox.Migrate(b.Context(), db); err != nil {
				b.Fatal(err)
			}
			msgs := make([]*wrapperspb.StringValue, b.N)
			for i := range msgs {
				msgs[i] = wrapperspb.String(fmt.Sprintf("k%d %s", i%1000, strings.Repeat("x", 200)))
			}
			if err := outbox.PublishAll(b.Context(), db, text, msgs); err != nil {
				b.Fatal(err)
			}
			broker := &events.Memory{}
			bus := &events.Bus{Broker: broker}
			text.Declare(bus)
			ctx, stop := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			b.ReportAllocs()
			b.ResetTimer()
			go func() {
				ended <- (&outbox.Relay{DB: db, Logger: slog.New(slog.DiscardHandler)}).Run(ctx, bus)
			}()
			for {
				var left int
				if err := db.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM hanse_outbox LIMIT 1) AS first`).Scan(&left); err != nil {
					b.Fatal(err)
				}
				if left == 0 {
					break
				}
				<-time.After(time.Millisecond)
			}
			b.StopTimer()
			stop()
			if err := <-ended; err != nil {
				b.Fatal(err)
			}
		})
	}
}
