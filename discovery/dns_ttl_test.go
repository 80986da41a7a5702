package discovery_test

import (
	"slices"
	"testing"

	"github.com/hanse-go/hanse/discovery"
	"golang.org/x/net/dns/dnsmessage"
)

// parsedTTLs is what golang.org/x/net's parser finds.
func parsedTTLs(message []byte) (ttls []uint32) {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err != nil || !header.Response || header.RCode != dnsmessage.RCodeSuccess || p.SkipAllQuestions() != nil {
		return nil
	}
	for {
		answer, err := p.AnswerHeader()
		if err != nil || p.SkipAnswer() != nil {
			return ttls
		}
		ttls = append(ttls, answer.TTL)
	}
}

func dnsMessage(t testing.TB, header dnsmessage.Header, ttls ...uint32) []byte {
	t.Helper()
	name := dnsmessage.MustNewName("cart.shop.test.")
	m := dnsmessage.Message{Header: header, Questions: []dnsmessage.Question{{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	for i, ttl := range ttls {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: ttl},
			Body:   &dnsmessage.AResource{A: [4]byte{10, 0, 0, byte(i)}},
		})
	}
	m.Additionals = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 1},
		Body:   &dnsmessage.AResource{},
	}}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAnswerTTLs(t *testing.T) {
	response := dnsmessage.Header{Response: true}
	whole := dnsMessage(t, response, 300, 20, 1<<31)
	for _, c := range []struct {
		name    string
		message []byte
		want    []uint32
	}{
		{"all answers, and nothing else", whole, []uint32{300, 20, 1 << 31}},
		{"none", dnsMessage(t, response), nil},
		{"a question", dnsMessage(t, dnsmessage.Header{}, 300), nil},
		{"an error", dnsMessage(t, dnsmessage.Header{Response: true, RCode: dnsmessage.RCodeNameError}, 300), nil},
		{"nothing", nil, nil},
	} {
		if got := discovery.AnswerTTLs(c.message); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	for n := range whole { // cut off anywhere
		if got, want := discovery.AnswerTTLs(whole[:n]), parsedTTLs(whole[:n]); !slices.Equal(got, want) {
			t.Errorf("the first %d bytes: %v, want %v", n, got, want)
		}
	}
}

// FuzzAnswerTTLs holds that every time which a full parser finds is found, and that no message does harm. (The parser is stricter: it
// follows pointers within names, and stops where they lead nowhere.)
func FuzzAnswerTTLs(f *testing.F) {
	f.Add(dnsMessage(f, dnsmessage.Header{Response: true}, 300, 20))
	f.Add(dnsMessage(f, dnsmessage.Header{Response: true}))
	f.Fuzz(func(t *testing.T, message []byte) {
		got, want := discovery.AnswerTTLs(message), parsedTTLs(message)
		if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}
