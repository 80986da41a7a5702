// Package email is the service that confirms orders by e-mail.
//
// It hears of orders by their event, and speaks SMTP with the mail server of its settings. Without one it speaks SMTP all the same, with the
// shop's own in this process, whose mail the storefront shows.
//
// # Once
//
// A mail server is no part of a transaction, so a mail cannot be made to be sent exactly once by SQL. What is done: the event is noted as handled
// after the mail server has taken the mail (its 250), never before, so no order goes without. A process that dies in between sends the mail
// again. The Message-ID follows from the order, so the second one has that of the first, and mail servers that suppress duplicates drop it,
// as the shop's own does. With a mail server that does not, a customer may get a confirmation twice after a crash, in that moment.
package email

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"time"

	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/events/outbox/inbox"
	"github.com/hanse-go/hanse/examples/shop/database"
	"github.com/hanse-go/hanse/examples/shop/mailbox"
	"github.com/hanse-go/hanse/examples/shop/orders"
	"github.com/hanse-go/hanse/examples/shop/problem"
	emailv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/email/v1"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	"github.com/hanse-go/hanse/telemetry"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	defaultList = 20
	maxList     = 100

	// sendTimeout is how long one mail may take.
	sendTimeout = time.Minute
)

// patience is for mail servers that are away: they are asked for some days, as mail servers ask each other.
var patience = events.Retry{Attempts: 2000, Max: 5 * time.Minute}

// schema is that of what was sent. Nothing but the inbox keeps an order from having two rows.
const schema = `
CREATE TABLE IF NOT EXISTS mails (
	id        TEXT    NOT NULL, -- Message-ID
	order_id  TEXT    NOT NULL,
	customer  TEXT    NOT NULL,
	sender    TEXT    NOT NULL,
	recipient TEXT    NOT NULL,
	subject   TEXT    NOT NULL,
	sent      INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS mails_id ON mails (id);
CREATE INDEX IF NOT EXISTS mails_customer ON mails (customer, sent);`

// Settings of the service.
type Settings struct {
	database.Settings `yaml:",inline"`

	SMTP string `desc:"HOST:PORT of a mail server; it is spoken to by TLS if it can. Default: the shop's own, which shows all mail in the storefront"`
	From string `default:"Kontor <orders@kontor.example>" desc:"who mail is from"`
}

// Validate refuses settings that cannot work.
func (s *Settings) Validate() error {
	if _, err := mail.ParseAddress(s.From); err != nil {
		return fmt.Errorf("from %q is not an e-mail address: %w", s.From, err)
	}
	if s.SMTP != "" {
		if _, _, err := net.SplitHostPort(s.SMTP); err != nil {
			return fmt.Errorf("smtp: %w: want HOST:PORT", err)
		}
	}
	return nil
}

// Service returns the email service.
func Service() *hanse.Service {
	return &hanse.Service{Name: "email", Setup: func(ctx context.Context, s *hanse.Service) error {
		var cfg Settings
		if err := s.Config(&cfg); err != nil {
			return err
		}
		dir, err := cfg.Dir()
		if err != nil {
			return err
		}
		emails, err := New(ctx, dir, cfg, s.Logger(), s.Telemetry())
		if err != nil {
			return err
		}
		s.OnStop(func(context.Context) error { return emails.Close() })
		if emails.own != nil {
			s.Go("mail server", emails.Serve) // it ends after the last event was handled
		}
		orders.Placed.Subscribe(s, "email", emails.Placed, events.Start{All: true}, events.Timeout(sendTimeout), patience)
		(&inbox.Pruner{DB: emails.db}).Attach(s)
		emailv1.RegisterEmailsServer(s, emails)
		return nil
	}}
}

// Emails is the implementation.
type Emails struct {
	emailv1.UnimplementedEmailsServer
	db     *sql.DB
	from   *mail.Address
	server string       // HOST:PORT
	own    *mailbox.Box // nil: another mail server has the mail
	lis    net.Listener // of the own server
	log    *slog.Logger
}

// New returns a service that keeps in a folder what it sent. Close it. With no mail server in the settings there is its own one, which Serve
// runs.
func New(ctx context.Context, dir string, cfg Settings, log *slog.Logger, tells *telemetry.Service) (_ *Emails, err error) {
	e := &Emails{server: cfg.SMTP, log: log}
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	if e.from, err = mail.ParseAddress(cfg.From); err != nil {
		return nil, err
	}
	if e.db, err = database.Open(ctx, dir, "email", schema, tells); err != nil {
		return nil, err
	}
	if err = inbox.Migrate(ctx, e.db); err != nil {
		return nil, err
	}
	if cfg.SMTP != "" {
		return e, nil
	}
	if e.own, err = mailbox.Open(ctx, dir, tells); err != nil {
		return nil, err
	}
	if e.lis, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	e.server = e.lis.Addr().String()
	return e, nil
}

// Serve runs the shop's own mail server until ctx ends. It returns at once when there is another one.
func (e *Emails) Serve(ctx context.Context) error {
	if e.lis == nil {
		return nil
	}
	return (&mailbox.Server{Box: e.own, Logger: e.log}).Serve(ctx, e.lis)
}

// Close closes the files.
func (e *Emails) Close() error {
	var errs []error
	if e.lis != nil {
		e.lis.Close() // Serve has, if it ran
	}
	if e.own != nil {
		errs = append(errs, e.own.Close())
	}
	if e.db != nil {
		errs = append(errs, e.db.Close())
	}
	return errors.Join(errs...)
}

// Placed confirms an order.
func (e *Emails) Placed(ctx context.Context, event *events.Event[*ordersv1.Placed]) error {
	order := event.Data.GetOrder()
	to, err := mail.ParseAddress(order.GetAddress().GetEmail())
	if err != nil {
		return events.Permanent(fmt.Errorf("order %s: %w", order.GetId(), err))
	}
	letter := confirmation(order, e.from, to, event.Time)
	if there, err := e.sent(ctx, letter.id); err != nil || there {
		return err
	}
	if err := send(ctx, e.server, letter); err != nil {
		return fmt.Errorf("order %s: %w", order.GetId(), err)
	}
	// A crash from here to the end of the transaction has it sent again.
	return inbox.Handler(e.db, func(ctx context.Context, tx *sql.Tx, _ *events.Event[*ordersv1.Placed]) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO mails (id, order_id, customer, sender, recipient, subject, sent) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			letter.id, order.GetId(), order.GetCustomer(), letter.from.String(), letter.to.String(), letter.subject, time.Now().UnixMilli())
		return err
	})(ctx, event)
}

// sent reports whether a mail was sent before.
func (e *Emails) sent(ctx context.Context, id string) (there bool, err error) {
	err = e.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM mails WHERE id = ?)`, id).Scan(&there)
	return there, err
}

// ListMails returns a customer's mail.
func (e *Emails) ListMails(ctx context.Context, req *emailv1.ListMailsRequest) (*emailv1.ListMailsResponse, error) {
	limit := int(req.GetLimit())
	switch {
	case req.GetCustomer() == "":
		return nil, problem.Invalid(problem.Field{Name: "customer", Problem: "is missing"})
	case limit < 0 || limit > maxList:
		return nil, problem.Invalid(problem.Field{Name: "limit", Problem: fmt.Sprintf("is %d, must be from 0 to %d", limit, maxList)})
	case limit == 0:
		limit = defaultList
	}
	reply := &emailv1.ListMailsResponse{}
	if e.own == nil {
		reply.Server = e.server
	}
	var err error
	if reply.Mails, err = e.list(ctx, req.GetCustomer(), limit); err != nil {
		return nil, database.Status(ctx, err)
	}
	return reply, nil
}

func (e *Emails) list(ctx context.Context, customer string, limit int) (mails []*emailv1.Mail, err error) {
	rows, err := e.db.QueryContext(ctx, `SELECT id, order_id, sender, recipient, subject, sent FROM mails
		WHERE customer = ? ORDER BY sent DESC, rowid DESC LIMIT ?`, customer, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		m, at := &emailv1.Mail{}, int64(0)
		if err := rows.Scan(&m.Id, &m.OrderId, &m.From, &m.To, &m.Subject, &at); err != nil {
			return nil, err
		}
		m.Sent = timestamppb.New(time.UnixMilli(at))
		mails = append(mails, m)
	}
	if err := rows.Err(); err != nil || e.own == nil {
		return mails, err
	}
	for _, m := range mails {
		kept, err := e.own.Get(ctx, m.GetId())
		if err != nil {
			return nil, err
		}
		if kept != nil { // else it went to another server, under other settings
			m.From, m.To, m.Subject, m.Text = kept.From, kept.To, kept.Subject, kept.Text
		}
	}
	return mails, nil
}
