package payment_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-go/hanse/examples/shop/payment"
	"github.com/hanse-go/hanse/examples/shop/problem"
	moneyv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/money/v1"
	paymentv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/payment/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dir string) *payment.Payments {
	t.Helper()
	p, err := payment.New(context.Background(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

const good = "4242424242424242"

func card(change func(*paymentv1.Card)) *paymentv1.Card {
	c := &paymentv1.Card{Number: good, ExpiryMonth: 12, ExpiryYear: 2099, Code: "123", Holder: "J. Buddenbrook"}
	if change != nil {
		change(c)
	}
	return c
}

func charge(p *payment.Payments, key string, minor int64, c *paymentv1.Card) (*paymentv1.Payment, error) {
	reply, err := p.Charge(context.Background(), &paymentv1.ChargeRequest{Key: key, Amount: &moneyv1.Money{Currency: "EUR", Minor: minor}, Card: c})
	return reply.GetPayment(), err
}

func TestChargeOnce(t *testing.T) {
	dir := t.TempDir()
	p := open(t, dir)
	first, err := charge(p, "order-1", 1290, card(nil))
	if err != nil || first.GetState() != paymentv1.State_STATE_CHARGED || first.GetNetwork() != "Visa" || first.GetLastFour() != "4242" {
		t.Fatalf("got %v, %v", first, err)
	}
	other := open(t, dir) // a replica
	again, err := charge(other, "order-1", 1290, card(func(c *paymentv1.Card) { c.Number = "" }))
	if err != nil || !proto.Equal(first, again) {
		t.Errorf("the same key again: %v, %v, want %v", again, err, first)
	}
	if _, err := charge(p, "order-1", 1291, card(nil)); status.Code(err) != codes.AlreadyExists {
		t.Errorf("the same key with another amount: %v, want AlreadyExists", err)
	}
	found, err := other.GetPayment(context.Background(), &paymentv1.GetPaymentRequest{Key: "order-1"})
	if err != nil || !proto.Equal(found.GetPayment(), first) {
		t.Errorf("GetPayment: %v, %v", found, err)
	}
	if _, err := p.GetPayment(context.Background(), &paymentv1.GetPaymentRequest{Key: "none"}); status.Code(err) != codes.NotFound {
		t.Errorf("an unknown key: %v, want NotFound", err)
	}
}

func TestConcurrentChargesAreOne(t *testing.T) {
	p := open(t, t.TempDir())
	ids := make([]string, 20)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			paid, err := charge(p, "order-1", 500, card(nil))
			if err != nil {
				t.Error(err)
			}
			ids[i] = paid.GetId()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] || id == "" {
			t.Fatalf("payments %v, want one", ids)
		}
	}
}

func TestRefund(t *testing.T) {
	p := open(t, t.TempDir())
	charge(p, "order-1", 500, card(nil))
	for range 2 {
		reply, err := p.Refund(context.Background(), &paymentv1.RefundRequest{Key: "order-1"})
		if err != nil || reply.GetPayment().GetState() != paymentv1.State_STATE_REFUNDED || reply.GetPayment().GetAmount().GetMinor() != 500 {
			t.Fatalf("got %v, %v", reply, err)
		}
	}
	if _, err := charge(p, "order-1", 500, card(nil)); problem.Reason(err) != "REFUNDED" {
		t.Errorf("charged after the refund: %v", err)
	}
	// A refund that overtakes its charge wins.
	if _, err := p.Refund(context.Background(), &paymentv1.RefundRequest{Key: "order-2"}); err != nil {
		t.Fatal(err)
	}
	if _, err := charge(p, "order-2", 500, card(nil)); problem.Reason(err) != "REFUNDED" {
		t.Errorf("charged after its refund: %v", err)
	}
}

func TestCards(t *testing.T) {
	now := time.Now()
	for name, test := range map[string]struct {
		change func(*paymentv1.Card)
		field  string // that is wrong; none: the card is good
	}{
		"Visa":             {nil, ""},
		"with spaces":      {func(c *paymentv1.Card) { c.Number = "4242 4242-4242 4242" }, ""},
		"Mastercard":       {func(c *paymentv1.Card) { c.Number = "5555555555554444" }, ""},
		"new Mastercard":   {func(c *paymentv1.Card) { c.Number = "2223003122003222" }, ""},
		"American Express": {func(c *paymentv1.Card) { c.Number, c.Code = "378282246310005", "1234" }, ""},
		"this month": {func(c *paymentv1.Card) {
			c.ExpiryMonth, c.ExpiryYear = int32(now.UTC().Month()), int32(now.UTC().Year())
		}, ""},
		"wrong digit":     {func(c *paymentv1.Card) { c.Number = "4242424242424241" }, "card.number"},
		"digits swapped":  {func(c *paymentv1.Card) { c.Number = "2424242424242424" }, "card.number"},
		"letters":         {func(c *paymentv1.Card) { c.Number = "4242x24242424242" }, "card.number"},
		"no number":       {func(c *paymentv1.Card) { c.Number = "" }, "card.number"},
		"zeros":           {func(c *paymentv1.Card) { c.Number = "0000000000000000" }, "card.number"},
		"unknown network": {func(c *paymentv1.Card) { c.Number = "9999999999999995" }, "card.number"},
		"short":           {func(c *paymentv1.Card) { c.Number = "42" }, "card.number"},
		"month 13":        {func(c *paymentv1.Card) { c.ExpiryMonth = 13 }, "card.expiry"},
		"no year":         {func(c *paymentv1.Card) { c.ExpiryYear = 0 }, "card.expiry"},
		"last month": {func(c *paymentv1.Card) {
			last := now.UTC().AddDate(0, 0, -now.UTC().Day())
			c.ExpiryMonth, c.ExpiryYear = int32(last.Month()), int32(last.Year())
		}, "card.expiry"},
		"two-digit code":    {func(c *paymentv1.Card) { c.Code = "12" }, "card.code"},
		"Amex code of Visa": {func(c *paymentv1.Card) { c.Code = "1234" }, "card.code"},
		"letters in code":   {func(c *paymentv1.Card) { c.Code = "12a" }, "card.code"},
		"no holder":         {func(c *paymentv1.Card) { c.Holder = "  " }, "card.holder"},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, t.TempDir())
			_, err := charge(p, "order", 500, card(test.change))
			if test.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			fields := problem.Fields(err)
			if status.Code(err) != codes.InvalidArgument || len(fields) != 1 || fields[0].Name != test.field {
				t.Errorf("got %v with fields %v, want %s", err, fields, test.field)
			}
		})
	}
	p := open(t, t.TempDir())
	if _, err := charge(p, "order", 500, nil); len(problem.Fields(err)) != 4 {
		t.Errorf("no card: %v, want all four fields", problem.Fields(err))
	}
}

// TestLuhn changes every digit of a good number to every other one: each must be noticed.
func TestLuhn(t *testing.T) {
	p := open(t, t.TempDir())
	for i := range len(good) {
		for d := byte('0'); d <= '9'; d++ {
			number := good[:i] + string(d) + good[i+1:]
			_, err := charge(p, fmt.Sprint(i, "-", d), 500, card(func(c *paymentv1.Card) { c.Number = number }))
			if (err == nil) != (number == good) {
				t.Errorf("%s: %v", number, err)
			}
		}
	}
}

func TestDeclined(t *testing.T) {
	p := open(t, t.TempDir())
	for number, reason := range map[string]string{
		"4000000000000002": "CARD_DECLINED", "4000000000009995": "INSUFFICIENT_FUNDS", "4000000000009987": "LOST_CARD", "4000000000000069": "EXPIRED_CARD",
	} {
		_, err := charge(p, "order", 500, card(func(c *paymentv1.Card) { c.Number = number }))
		if status.Code(err) != codes.FailedPrecondition || problem.Reason(err) != reason {
			t.Errorf("%s: %v with reason %q, want %q", number, err, problem.Reason(err), reason)
		}
	}
	if _, err := charge(p, "order", 500, card(nil)); err != nil {
		t.Errorf("another card after that: %v", err)
	}
}

// TestNumbersAreForgotten looks for card numbers in the files and in the errors.
func TestNumbersAreForgotten(t *testing.T) {
	dir := t.TempDir()
	p := open(t, dir)
	charge(p, "good", 500, card(nil))
	for _, number := range []string{"4000000000000002", "4242424242424241", "9999999999999995"} {
		if _, err := charge(p, "bad", 500, card(func(c *paymentv1.Card) { c.Number = number })); strings.Contains(fmt.Sprintf("%+v %v", err, status.Convert(err).Details()), number) {
			t.Errorf("the error repeats the number: %v", err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), good) || strings.Contains(string(content), "4000000000000002") {
			t.Errorf("%s has a card number", file)
		}
	}
}

func TestRefusals(t *testing.T) {
	p := open(t, t.TempDir())
	for name, err := range map[string]error{
		"no key":   second(charge(p, "", 500, card(nil))),
		"long key": second(charge(p, strings.Repeat("k", 129), 500, card(nil))),
		"nothing":  second(charge(p, "k", 0, card(nil))),
		"less":     second(charge(p, "k", -5, card(nil))),
	} {
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v, want InvalidArgument", name, err)
		}
	}
}

func second(_ *paymentv1.Payment, err error) error { return err }
