package email

import (
	"bytes"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"

	"github.com/hanse-go/hanse/examples/shop/money"
	ordersv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/orders/v1"
)

// letter is a mail.
type letter struct {
	id       string // Message-ID, without brackets
	from, to *mail.Address
	subject  string
	date     time.Time
	text     string
}

// confirmation is what is written to a customer whose order was placed. It is the same each time.
func confirmation(order *ordersv1.Order, from, to *mail.Address, date time.Time) *letter {
	_, domain, _ := strings.Cut(from.Address, "@")
	l := &letter{
		id:   order.GetId() + ".placed@" + domain,
		from: from, to: &mail.Address{Name: order.GetAddress().GetName(), Address: to.Address},
		subject: "Your order " + order.GetId(), date: date,
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	a := order.GetAddress()
	line("Dear %s,\n", a.GetName())
	line("thank you for your order %s. It is paid with %s, and we are packing it.\n", order.GetId(), order.GetPaidWith())
	for _, item := range order.GetLines() {
		line("%d × %s, %s each", item.GetQuantity(), item.GetName(), money.Of(item.GetPrice()))
	}
	line("Delivery: %s", money.Of(order.GetShipping()))
	line("Total: %s\n", money.Of(order.GetTotal()))
	line("It goes to\n%s\n%s\n%s %s, %s\n", a.GetName(), a.GetStreet(), a.GetPostcode(), a.GetCity(), a.GetCountry())
	line("Your Kontor")
	l.text = b.String()
	return l
}

// bytes returns the mail as it is sent: plain text in UTF-8.
func (l *letter) bytes() []byte {
	var b bytes.Buffer
	for _, field := range [][2]string{
		{"From", l.from.String()},
		{"To", l.to.String()},
		{"Subject", mime.QEncoding.Encode("utf-8", l.subject)},
		{"Date", l.date.UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + l.id + ">"},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", field[0], field[1])
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	w.Write([]byte(l.text)) // a buffer takes all
	w.Close()
	return b.Bytes()
}
