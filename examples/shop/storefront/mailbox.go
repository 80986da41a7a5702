package storefront

import (
	"context"
	"net/http"

	emailv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/email/v1"
)

// mailbox shows the mail that the visitor was sent. Where another mail server delivers it, it says so.
func (s *Shop) mailbox(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, "mailbox", func(ctx context.Context, p *page) error {
		reply := &emailv1.ListMailsResponse{}
		p.Title = "Mailbox"
		if p.session != "" {
			var err error
			if reply, err = s.Emails.ListMails(ctx, &emailv1.ListMailsRequest{Customer: p.session}); err != nil {
				return &away{"The mailbox", err}
			}
		}
		p.Data = reply
		return nil
	})
}
