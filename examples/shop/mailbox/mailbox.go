// Package mailbox is the shop's own mail server: it speaks SMTP, keeps what it is given, and hands nothing on. So mail can be looked at
// where no mail server is.
package mailbox

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"

	"github.com/hanse-go/hanse/examples/shop/database"
	"github.com/hanse-go/hanse/telemetry"
)

// A mail of which there is one already, by its Message-ID, is not kept a second time: copies counts how often it came.
const schema = `
CREATE TABLE IF NOT EXISTS mails (
	id       TEXT PRIMARY KEY, -- its Message-ID
	received INTEGER NOT NULL,
	copies   INTEGER NOT NULL DEFAULT 1,
	raw      BLOB    NOT NULL
) WITHOUT ROWID;`

// Mail is a mail that was kept.
type Mail struct {
	From     string
	To       string
	Subject  string
	Received time.Time
	Text     string
}

// ErrNoMail is returned for what has no header.
var ErrNoMail = errors.New("this is not a mail")

// Box keeps mail in a file, which several processes may share.
type Box struct{ db *sql.DB }

// Open opens the box in a folder. Close it.
func Open(ctx context.Context, dir string, tells *telemetry.Service) (*Box, error) {
	db, err := database.Open(ctx, dir, "mailbox", schema, tells)
	if err != nil {
		return nil, err
	}
	return &Box{db: db}, nil
}

// Close closes the file.
func (b *Box) Close() error { return b.db.Close() }

// Keep keeps a mail, as it came, and reports whether it is new. One without a Message-ID is known by its content.
func (b *Box) Keep(ctx context.Context, raw []byte) (fresh bool, err error) {
	m, err := mail.ReadMessage(strings.NewReader(string(raw)))
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrNoMail, err)
	}
	id := messageID(m)
	if id == "" {
		sum := sha256.Sum256(raw)
		id = hex.EncodeToString(sum[:])
	}
	var copies int
	err = b.db.QueryRowContext(ctx, `INSERT INTO mails (id, received, raw) VALUES (?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET copies = copies + 1 RETURNING copies`, id, time.Now().UnixMilli(), raw).Scan(&copies)
	return copies == 1, err
}

// Get returns the mail with a Message-ID, nil when there is none.
func (b *Box) Get(ctx context.Context, id string) (*Mail, error) {
	var raw string
	var received int64
	err := b.db.QueryRowContext(ctx, `SELECT raw, received FROM mails WHERE id = ?`, id).Scan(&raw, &received)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		return nil, err
	}
	body := m.Body
	if strings.EqualFold(m.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	return &Mail{
		From: who(m, "From"), To: who(m, "To"), Subject: words(m, "Subject"), Received: time.UnixMilli(received),
		Text: strings.ToValidUTF8(strings.ReplaceAll(string(text), "\r\n", "\n"), "�"),
	}, nil
}

// words returns a line of the header, to be read.
func words(m *mail.Message, name string) string {
	line := m.Header.Get(name)
	if plain, err := new(mime.WordDecoder).DecodeHeader(line); err == nil {
		return plain
	}
	return line
}

// who returns the addresses of a line of the header, to be read.
func who(m *mail.Message, name string) string {
	list, err := m.Header.AddressList(name)
	if err != nil {
		return words(m, name)
	}
	var all []string
	for _, a := range list {
		text := a.Address
		if a.Name != "" {
			text = a.Name + " <" + a.Address + ">"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func messageID(m *mail.Message) string {
	return strings.Trim(strings.TrimSpace(m.Header.Get("Message-Id")), "<>")
}
