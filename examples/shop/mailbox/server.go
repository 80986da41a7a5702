package mailbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/mail"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxMail       = 1 << 20 // bytes
	maxRecipients = 100
	maxTalks      = 100     // at the same time; who comes beyond that waits
	maxCommand    = 8 << 10 // bytes, with what the reader has ahead
	patience      = time.Minute
)

// Server puts into a Box what it is sent by SMTP (RFC 5321), from anyone to anyone.
type Server struct {
	Box    *Box
	Logger *slog.Logger
}

// Serve serves until ctx ends, and closes the listener. Those who are in the middle of something then are cut off, as by a crash: what was not
// acknowledged is theirs to send again.
func (s *Server) Serve(ctx context.Context, lis net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var talks sync.WaitGroup
	defer talks.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { lis.Close() })
	defer stop()
	room := make(chan struct{}, maxTalks)
	for {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := lis.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("mailbox: %w", errors.Join(err, lis.Close()))
		}
		talks.Go(func() {
			defer func() { <-room }()
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			limited := &io.LimitedReader{R: conn}
			t := &talk{server: s, conn: conn, limited: limited, in: textproto.NewReader(bufio.NewReader(limited))}
			if err := t.run(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, io.EOF) {
				s.Logger.Debug("mail was broken off", "error", err)
			}
		})
	}
}

// talk is one connection.
type talk struct {
	server  *Server
	conn    net.Conn
	limited *io.LimitedReader // bounds what one command or mail may have
	in      *textproto.Reader

	greeted bool
	from    bool // there was a MAIL
	to      int  // recipients
}

func (t *talk) say(code int, lines ...string) error {
	var b strings.Builder
	for i, line := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		fmt.Fprintf(&b, "%d%s%s\r\n", code, sep, line)
	}
	_, err := io.WriteString(t.conn, b.String())
	return err
}

// run is the conversation. It ends with an error, or at QUIT.
func (t *talk) run(ctx context.Context) error {
	if err := t.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err := t.say(220, "kontor.example ESMTP, which keeps all mail to itself"); err != nil {
		return err
	}
	for {
		if err := t.conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		t.limited.N = maxCommand
		line, err := t.in.ReadLine()
		if err != nil {
			if t.limited.N <= 0 {
				return errors.Join(err, t.say(500, "This line is too long"))
			}
			return err
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			t.greeted = true
			t.reset()
			err = t.say(250, "kontor.example", "8BITMIME", "SMTPUTF8", "PIPELINING", fmt.Sprint("SIZE ", maxMail))
		case "HELO":
			t.greeted = true
			t.reset()
			err = t.say(250, "kontor.example")
		case "MAIL":
			err = t.mail(rest)
		case "RCPT":
			err = t.rcpt(rest)
		case "DATA":
			err = t.data(ctx)
		case "RSET":
			t.reset()
			err = t.say(250, "All forgotten")
		case "NOOP":
			err = t.say(250, "Aye")
		case "VRFY":
			err = t.say(252, "Send it, and it is kept")
		case "QUIT":
			return t.say(221, "Fair winds")
		default:
			err = t.say(502, "This is not known here")
		}
		if err != nil {
			return err
		}
	}
}

func (t *talk) reset() { t.from, t.to = false, 0 }

func (t *talk) mail(rest string) error {
	_, params, ok := path(rest, "FROM:", true)
	switch {
	case !t.greeted:
		return t.say(503, "Say EHLO first")
	case t.from:
		return t.say(503, "One mail at a time")
	case !ok:
		return t.say(501, "Want MAIL FROM:<ADDRESS>")
	}
	for _, p := range strings.Fields(params) {
		if size, is := strings.CutPrefix(strings.ToUpper(p), "SIZE="); is {
			if n, err := strconv.ParseInt(size, 10, 64); err != nil || n > maxMail {
				return t.say(552, fmt.Sprintf("A mail may have %d bytes", maxMail))
			}
		}
	}
	t.from = true
	return t.say(250, "From whom it may be")
}

func (t *talk) rcpt(rest string) error {
	_, _, ok := path(rest, "TO:", false)
	switch {
	case !t.from:
		return t.say(503, "Say MAIL first")
	case !ok:
		return t.say(501, "Want RCPT TO:<ADDRESS>")
	case t.to == maxRecipients:
		return t.say(452, "These are enough recipients")
	}
	t.to++
	return t.say(250, "To whom it may be")
}

// data takes a mail. What it acknowledges is on the disk.
func (t *talk) data(ctx context.Context) error {
	if t.to == 0 {
		return t.say(503, "Say RCPT first")
	}
	if err := t.say(354, "Go ahead; end with a dot on a line of its own"); err != nil {
		return err
	}
	t.limited.N = maxMail + maxCommand // dots that are doubled, and the end
	raw, err := io.ReadAll(t.in.DotReader())
	if err != nil {
		if t.limited.N <= 0 {
			return errors.Join(err, t.say(552, fmt.Sprintf("A mail may have %d bytes", maxMail)))
		}
		return err
	}
	t.reset()
	fresh, err := t.server.Box.Keep(ctx, raw)
	switch {
	case errors.Is(err, ErrNoMail):
		return t.say(554, "This is not a mail")
	case err != nil:
		t.server.Logger.Error("a mail cannot be kept", "error", err)
		return t.say(451, "It cannot be kept at the moment")
	case !fresh:
		return t.say(250, "It was here before")
	}
	return t.say(250, "It is kept")
}

// path reads NAME<ADDRESS> and what follows. Only the sender may be nobody.
func path(s, name string, empty bool) (address, params string, ok bool) {
	if len(s) < len(name) || !strings.EqualFold(s[:len(name)], name) {
		return "", "", false
	}
	s = strings.TrimLeft(s[len(name):], " ")
	s, found := strings.CutPrefix(s, "<")
	address, params, closed := strings.Cut(s, ">")
	if !found || !closed {
		return "", "", false
	}
	if address == "" {
		return "", params, empty
	}
	_, err := mail.ParseAddress("<" + address + ">")
	return address, params, err == nil
}
