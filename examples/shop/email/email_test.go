package email_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
	"github.com/hanse-go/hanse/examples/shop/email"
	emailv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/email/v1"
	moneyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/money/v1"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const sender = "Kontor <orders@kontor.example>"

func open(t *testing.T, dir, server string) *email.Emails {
	t.Helper()
	e, err := email.New(t.Context(), dir, email.Settings{SMTP: server, From: sender}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-done, e.Close()); err != nil {
			t.Error(err)
		}
	})
	return e
}

// placed is the event of an order.
func placed(id string) *events.Event[*ordersv1.Placed] {
	euros := func(cents int64) *moneyv1.Money { return &moneyv1.Money{Currency: "EUR", Minor: cents} }
	return &events.Event[*ordersv1.Placed]{
		ID: "event-" + id, Source: "hanse:///orders", Group: "email", Time: time.Unix(1e9, 0),
		Data: &ordersv1.Placed{Order: &ordersv1.Order{
			Id: id, Customer: "jb", PaidWith: "Visa ending in 4242", Shipping: euros(490), Total: euros(3070),
			Address: &ordersv1.Address{Name: "Jürgen \"JB\"\r\nBcc: x@example.com", Email: "jb@example.com", City: "Lübeck", Country: "DE"},
			Lines:   []*ordersv1.Line{{Name: "Tea", Quantity: 2, Price: euros(1290)}},
		}},
	}
}

func list(t *testing.T, e *email.Emails, customer string) *emailv1.ListMailsResponse {
	t.Helper()
	reply, err := e.ListMails(t.Context(), &emailv1.ListMailsRequest{Customer: customer})
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// TestOwnServer confirms orders with no mail server in the settings.
func TestOwnServer(t *testing.T) {
	dir := t.TempDir()
	e := open(t, dir, "")
	for _, id := range []string{"A", "A", "B"} {
		if err := e.Placed(t.Context(), placed(id)); err != nil {
			t.Fatal(err)
		}
	}
	other := open(t, dir, "") // another replica
	reply := list(t, other, "jb")
	if len(reply.GetMails()) != 2 || reply.GetServer() != "" || len(list(t, e, "xy").GetMails()) != 0 {
		t.Fatal(reply)
	}
	m := reply.GetMails()[1]
	if m.GetId() != "A.placed@kontor.example" || m.GetOrderId() != "A" || m.GetSubject() != "Your order A" || m.GetFrom() != sender || m.GetTo() != "Jürgen \"JB\"\r\nBcc: x@example.com <jb@example.com>" ||
		!strings.Contains(m.GetText(), "2 × Tea, €12.90 each\nDelivery: €4.90\nTotal: €30.70\n") || time.Since(m.GetSent().AsTime()) > time.Minute {
		t.Errorf("%v", m)
	}
	for _, req := range []*emailv1.ListMailsRequest{{}, {Customer: "jb", Limit: -1}, {Customer: "jb", Limit: 101}} {
		if _, err := e.ListMails(t.Context(), req); err == nil {
			t.Errorf("%v is fine", req)
		}
	}
}

// server is a mail server whose answers are a test's.
type server struct {
	address string
	answer  func(line string) string // "" is OK; it is also called with each whole mail
	mu      sync.Mutex
	mails   []string
}

func serve(t *testing.T, answer func(line string) string) *server {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{address: lis.Addr().String(), answer: answer}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				s.talk(conn)
			})
		}
	})
	t.Cleanup(func() {
		lis.Close()
		all.Wait()
	})
	return s
}

func (s *server) talk(conn net.Conn) {
	say := func(line, good string) {
		if bad := s.answer(line); bad != "" {
			good = bad
		}
		io.WriteString(conn, good+"\r\n")
	}
	say("", "220 hello")
	var mail *strings.Builder
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		line := lines.Text()
		switch {
		case mail != nil && line == ".":
			s.mu.Lock()
			s.mails = append(s.mails, mail.String())
			s.mu.Unlock()
			say(mail.String(), "250 taken")
			mail = nil
		case mail != nil:
			mail.WriteString(line + "\r\n")
		case line == "DATA":
			mail = new(strings.Builder)
			say(line, "354 go ahead")
		default:
			say(line, "250 well")
		}
	}
}

func (s *server) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mails
}

// TestCrash ends the service between the mail server's word and the note of it: the mail is sent once more, the same, and not again after that.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	var crash func()
	s := serve(t, func(line string) string {
		if strings.HasPrefix(line, "From: ") && crash != nil {
			crash()
		}
		return ""
	})
	first := open(t, dir, s.address)
	crash = func() { first.Close() }
	if err := first.Placed(t.Context(), placed("A")); err == nil {
		t.Fatal("it was noted in a file that is closed")
	}
	crash = nil
	second := open(t, dir, s.address)
	for range 2 {
		if err := second.Placed(t.Context(), placed("A")); err != nil {
			t.Fatal(err)
		}
	}
	mails := s.got()
	if len(mails) != 2 || mails[0] != mails[1] {
		t.Fatalf("%d mails: %q", len(mails), mails)
	}
	m, err := mail.ReadMessage(strings.NewReader(mails[0]))
	if err != nil || m.Header.Get("Message-ID") != "<A.placed@kontor.example>" || m.Header.Get("Bcc") != "" || m.Header.Get("Subject") != "Your order A" {
		t.Errorf("%v\n%s", err, mails[0])
	}
	if reply := list(t, second, "jb"); len(reply.GetMails()) != 1 || reply.GetServer() != s.address || reply.GetMails()[0].GetText() != "" {
		t.Errorf("%v", reply)
	}
}

// TestTrouble tells errors that pass from those that stay, by whether the event becomes a dead letter.
func TestTrouble(t *testing.T) {
	for name, tt := range map[string]struct {
		at, answer string
		dead       bool
	}{
		"away":                    {"", "421 come back", false},
		"wrong settings":          {"MAIL", "530 who are you", false},
		"nobody of this name":     {"RCPT", "550 not here", true},
		"a mailbox that is full":  {"RCPT", "452 full", false},
		"a mail it does not want": {"From:", "554 no", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(line string) string {
				if strings.HasPrefix(line, tt.at) && (tt.at != "" || line == "") {
					return tt.answer
				}
				return ""
			})
			e := open(t, t.TempDir(), s.address)
			broker := &events.Memory{}
			bus := &events.Bus{Broker: broker}
			topic := events.NewTopic[*ordersv1.Placed]("orders.placed")
			failed := make(chan error, 1)
			topic.Subscribe(bus, "email", func(ctx context.Context, event *events.Event[*ordersv1.Placed]) error {
				err := e.Placed(ctx, event)
				failed <- err
				return err
			}, events.Retry{Min: time.Hour, Max: time.Hour})
			if err := bus.Declare(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- bus.Run(ctx) }()
			if err := topic.Publish(ctx, bus, placed("A").Data); err != nil {
				t.Fatal(err)
			}
			if err := <-failed; err == nil || !strings.Contains(err.Error(), tt.answer[4:]) || !strings.Contains(err.Error(), s.address) {
				t.Error(err)
			}
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if dead, _ := broker.Stats("orders.placed.dead"); (dead.Messages == 1) != tt.dead {
				t.Errorf("%d dead letters", dead.Messages)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	for _, s := range []email.Settings{{From: "nobody"}, {From: sender, SMTP: "localhost"}} {
		if err := s.Validate(); err == nil {
			t.Errorf("%+v is valid", s)
		}
	}
	if err := (&email.Settings{From: sender, SMTP: "localhost:25"}).Validate(); err != nil {
		t.Error(err)
	}
}
