package mailbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/examples/shop/mailbox"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a server until the test ends, and returns its box and its address.
func serve(t testing.TB) (*mailbox.Box, string) {
	t.Helper()
	box, err := mailbox.Open(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- (&mailbox.Server{Box: box, Logger: slog.New(slog.DiscardHandler)}).Serve(ctx, lis) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-done, box.Close()); err != nil {
			t.Error(err)
		}
	})
	return box, lis.Addr().String()
}

const letter = "From: =?utf-8?q?L=C3=BCbeck?= <a@example.com>\r\nTo: b@example.com\r\nSubject: =?utf-8?q?F=C3=BCr_Sie?=\r\nMessage-ID: <1@example.com>\r\n" +
	"Content-Transfer-Encoding: quoted-printable\r\n\r\nSch=C3=B6ne Gr=C3=BC=C3=9Fe\r\n.\r\n..und so fort\r\n"

// TestMail sends a mail twice by the client of the standard library: there is one.
func TestMail(t *testing.T) {
	box, address := serve(t)
	for range 2 {
		if err := smtp.SendMail(address, nil, "a@example.com", []string{"b@example.com", "c@example.com"}, []byte(letter)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := box.Get(t.Context(), "1@example.com")
	if err != nil || got == nil {
		t.Fatal(got, err)
	}
	if got.From != "Lübeck <a@example.com>" || got.To != "b@example.com" || got.Subject != "Für Sie" || got.Text != "Schöne Grüße\n.\n..und so fort\n" || time.Since(got.Received) > time.Minute {
		t.Errorf("%+v", got)
	}
	if other, err := box.Get(t.Context(), "2@example.com"); other != nil || err != nil {
		t.Errorf("a mail that never came: %v, %v", other, err)
	}
	if fresh, err := box.Keep(t.Context(), []byte(letter)); fresh || err != nil {
		t.Errorf("a third one is new: %v, %v", fresh, err)
	}
	for i, want := range []bool{true, false} { // without a Message-ID
		if fresh, err := box.Keep(t.Context(), []byte("Subject: x\r\n\r\n")); fresh != want || err != nil {
			t.Errorf("%d: %v, %v", i, fresh, err)
		}
	}
}

// TestConversation holds what is answered to each line.
func TestConversation(t *testing.T) {
	const hello, sender, rcpt = "EHLO me", "MAIL FROM:<a@example.com>", "RCPT TO:<b@example.com>"
	for name, lines := range map[string][]string{
		"a mail":              {"220", hello, "250", sender, "250", rcpt, "250", "DATA", "354", "Subject: x\r\n\r\nx\r\n.", "250", sender, "250", "QUIT", "221"},
		"by an old client":    {"220", "helo me", "250", "mail from:<>", "250", "rcpt to: <b@example.com>", "250"},
		"out of order":        {"220", sender, "503", hello, "250", rcpt, "503", "DATA", "503", sender, "250", sender, "503", "DATA", "503", "RSET", "250", rcpt, "503"},
		"no addresses":        {"220", hello, "250", "MAIL FROM:a@example.com", "501", "MAIL", "501", "MAIL FROM:<a b>", "501", sender, "250", "RCPT TO:<>", "501"},
		"too large":           {"220", hello, "250", sender + " SIZE=1048577", "552", sender + " SIZE=x", "552", sender + " BODY=8BITMIME SIZE=1048576", "250"},
		"no mail":             {"220", hello, "250", sender, "250", rcpt, "250", "DATA", "354", "x\r\n.", "554", sender, "250"},
		"whatever":            {"220", "NOOP", "250", "VRFY a", "252", "EXPN", "502", "", "502"},
		"a line without end":  {"220", strings.Repeat("x", 10<<10), "500"},
		"a mail without end":  {"220", hello, "250", sender, "250", rcpt, "250", "DATA", "354", "Subject: x\r\n\r\n" + strings.Repeat("x", 1<<20+10<<10), "552"},
		"too many recipients": append(append([]string{"220", hello, "250", sender, "250"}, repeat(rcpt, "250", 100)...), rcpt, "452"),
	} {
		t.Run(name, func(t *testing.T) {
			_, address := serve(t)
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			c := textproto.NewConn(conn)
			for i := 0; i < len(lines); i++ {
				if i > 0 {
					fmt.Fprintf(conn, "%s\r\n", lines[i]) // one that is cut off shows in the answer
					i++
				}
				var want int
				fmt.Sscan(lines[i], &want)
				if code, text, err := c.ReadResponse(want); err != nil {
					t.Fatalf("line %d, %.40q: %d %s, %v", i, lines[max(i-1, 0)], code, text, err)
				}
			}
		})
	}
}

func repeat(a, b string, n int) (all []string) {
	for range n {
		all = append(all, a, b)
	}
	return all
}

// FuzzTalk sends bytes to the server, which must answer or hang up, and take the next one.
func FuzzTalk(f *testing.F) {
	box, address := serve(f)
	f.Add([]byte("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\nA: b\r\n\r\n.\r\nQUIT\r\n"))
	f.Add([]byte("MAIL FROM:<\"a b\"@c> SIZE=9\nRSET\n"))
	f.Add([]byte("DATA\r\n\r\n.\r\n\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		go func() {
			io.Copy(conn, bytes.NewReader(data)) // it may hang up
			conn.(*net.TCPConn).CloseWrite()
		}()
		answers, err := io.ReadAll(conn)
		if !bytes.HasPrefix(answers, []byte("220 ")) || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q: %v", answers, err)
		}
		if _, err := box.Get(t.Context(), "none"); err != nil {
			t.Error(err)
		}
	})
}
