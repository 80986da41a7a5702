package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"time"

	"github.com/hanse-go/hanse/events"
)

// connectTimeout is how long a mail server may take to be reached.
const connectTimeout = 10 * time.Second

// send gives a mail to a mail server, and returns when that has taken it. An address or a mail that
// the server refuses for good is a permanent error.
func send(ctx context.Context, server string, l *letter) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("mail server %s: %w", server, err)
		}
	}()
	host, _, err := net.SplitHostPort(server)
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, "tcp", server)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	if ok, _ := c.Extension("STARTTLS"); ok {
		if err := c.StartTLS(&tls.Config{ServerName: host}); err != nil {
			return err
		}
	}
	if err := c.Mail(l.from.Address); err != nil {
		return err
	}
	if err := c.Rcpt(l.to.Address); err != nil {
		return refused(err)
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(l.bytes()); err != nil {
		return err
	}
	if err := w.Close(); err != nil { // the server's word
		return refused(err)
	}
	c.Quit() // it is taken, whatever comes
	return nil
}

// refused makes an error permanent by which a server says that it will never take this mail. What it says before it heard of the recipient may be
// due to settings that somebody will mend.
func refused(err error) error {
	if said, ok := errors.AsType[*textproto.Error](err); ok && said.Code >= 500 {
		return events.Permanent(err)
	}
	return err
}
