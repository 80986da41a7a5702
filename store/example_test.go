package store_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hanse-go/hanse/store"
)

// Session is kept for half an hour after it was last written.
type Session struct {
	User  string
	Items []string
}

var sessions = store.NewBucket[Session]("sessions", store.TTL(30*time.Minute))

// addItem runs in any instance; none overwrites what another has added.
func addItem(ctx context.Context, h store.Host, id, item string) error {
	_, err := sessions.Modify(ctx, h, id, func(s Session, found bool) (Session, error) {
		if !found {
			return s, errors.New("sign in first")
		}
		s.Items = append(s.Items, item)
		return s, nil
	})
	return err
}

func Example() {
	ctx := context.Background()
	svc := &store.Client{Driver: &store.Memory{}} // in a program: the service

	revision, err := sessions.Create(ctx, svc, "4711", Session{User: "ann"})
	if err != nil {
		fmt.Println(err)
	}
	_, err = sessions.Create(ctx, svc, "4711", Session{User: "bob"})
	fmt.Println(errors.Is(err, store.ErrExists))

	if err := addItem(ctx, svc, "4711", "anchor"); err != nil {
		fmt.Println(err)
	}
	_, err = sessions.Update(ctx, svc, "4711", Session{User: "eve"}, revision)
	fmt.Println(errors.Is(err, store.ErrRevision))

	session, err := sessions.Get(ctx, svc, "4711")
	fmt.Println(session.Value, err)
	// Output:
	// true
	// true
	// {ann [anchor]} <nil>
}

// follow keeps an index of who is signed in.
func follow(ctx context.Context, h store.Host, index map[string]string) error {
	for c, err := range sessions.Watch(ctx, h) {
		if err != nil {
			return err
		}
		switch c.Kind {
		case store.Put:
			index[c.Key] = c.Value.User
		case store.Deleted: // by somebody, or because its time was over
			delete(index, c.Key)
		case store.Synced: // the index is complete; what follows are changes
			return nil
		}
	}
	return nil
}

func ExampleBucket_Watch() {
	ctx := context.Background()
	svc := &store.Client{Driver: &store.Memory{}}
	if _, err := sessions.Put(ctx, svc, "1", Session{User: "ann"}); err != nil {
		fmt.Println(err)
	}
	index := make(map[string]string)
	err := follow(ctx, svc, index)
	fmt.Println(index, err)
	// Output: map[1:ann] <nil>
}

// closeBooks must not run twice at the same time.
func closeBooks(ctx context.Context, h store.Host, ledger *Ledger) error {
	return store.Lock(ctx, h, "close-books", func(ctx context.Context, token uint64) error {
		return ledger.Write(ctx, token, "closed")
	})
}

// Ledger is a resource that checks tokens.
type Ledger struct {
	newest uint64
	text   string
}

// Write refuses a writer that has been overtaken, which may not know it yet.
func (l *Ledger) Write(ctx context.Context, token uint64, text string) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if token < l.newest {
		return fmt.Errorf("token %d is out of date: %d was here", token, l.newest)
	}
	l.newest, l.text = token, text
	return nil
}

func ExampleLock() {
	svc := &store.Client{Driver: &store.Memory{}}
	ledger := new(Ledger)
	err := closeBooks(context.Background(), svc, ledger)
	fmt.Println(ledger.text, err)
	fmt.Println(ledger.Write(context.Background(), 0, "opened"))
	// Output:
	// closed <nil>
	// token 0 is out of date: 1 was here
}

// sweep runs in one instance at a time, for as long as that lives.
func sweep(ctx context.Context, _ uint64) error {
	fmt.Println("this instance leads")
	<-ctx.Done() // work, until the leadership or the service ends
	return ctx.Err()
}

func ExampleElect() {
	svc := &store.Client{Driver: &store.Memory{}}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	fmt.Println(store.Elect(ctx, svc, "sweeper", sweep))
	// Output:
	// this instance leads
	// <nil>
}
