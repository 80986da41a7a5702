// Command tallyman is what the tests kill while events go through it: a publisher that writes down what was acknowledged, a writer that
// puts events into an outbox, with the relay of that, and a handler that writes down what it handled, through an inbox if it has a database.
//
//	TALLY_LEDGER=ledger tallyman --services publisher & TALLY_EFFECTS=effects tallyman --services handler
//	TALLY_DATA=folder tallyman --services writer & TALLY_DATA=folder tallyman --services relay & TALLY_DATA=folder tallyman --services handler
package main

import (
	"cmp"
	"context"
	"errors"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/examples/e2e/tally"
)

// number returns that of a variable.
func number(variable string, otherwise int) int {
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		log.Fatalf("%s: %v", variable, err)
	}
	return n
}

// duration returns that of a variable.
func duration(variable string, otherwise time.Duration) time.Duration {
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		log.Fatalf("%s: %v", variable, err)
	}
	return d
}

// open opens the book that a variable names.
func open(s *hanse.Service, variable string) (*tally.Book, error) {
	book, err := tally.OpenBook(os.Getenv(variable))
	if err != nil {
		return nil, errors.New(variable + ": " + err.Error())
	}
	s.OnStop(func(context.Context) error { return book.Close() })
	return book, nil
}

func publisher(_ context.Context, s *hanse.Service) error {
	ledger, err := open(s, "TALLY_LEDGER")
	if err != nil {
		return err
	}
	tally.Marks.Declare(s)
	load := &tally.Load{
		Name: cmp.Or(os.Getenv("TALLY_NAME"), "p"), Topic: tally.Marks, Keys: number("TALLY_KEYS", 20), PerSecond: number("TALLY_RATE", 100),
		Timeout: duration("TALLY_TIMEOUT", 30*time.Second),
		Settled: func(m tally.Mark, took time.Duration, err error) {
			if err != nil {
				s.Logger().Warn("not published", "mark", m.String(), "error", err)
				return
			}
			if err := ledger.Write(m, time.Now().Add(-took)); err != nil {
				s.Logger().Error("not written down", "error", err)
			}
		},
	}
	s.Go("publish", func(ctx context.Context) error {
		load.Run(ctx, s)
		return nil
	})
	return nil
}

func main() {
	hanse.Main(
		&hanse.Service{Name: "publisher", Setup: publisher},
		&hanse.Service{Name: "handler", Setup: handler},
		&hanse.Service{Name: "writer", Setup: writer},
		&hanse.Service{Name: "relay", Setup: relay},
	)
}
