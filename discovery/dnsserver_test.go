package discovery_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// dnsServer is a little DNS server on a loopback port, by UDP and TCP.
type dnsServer struct {
	addr string

	mu        sync.Mutex
	records   map[string][]dnsRecord // by name, in lower case with a final dot
	fails     bool                   // answers with SERVFAIL
	truncates bool                   // tells who asks by UDP to ask by TCP
	asked     chan string            // gets each name that is asked for, while there is room
}

type dnsRecord struct {
	ttl uint32
	ip  string                  // A or AAAA
	srv *dnsmessage.SRVResource // or SRV
}

func newDNSServer(t *testing.T) *dnsServer {
	t.Helper()
	s := &dnsServer{records: make(map[string][]dnsRecord), asked: make(chan string, 1000)}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = tcp.Addr().String()
	udp, err := net.ListenPacket("udp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.serveUDP(udp) })
	wg.Go(func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			s.serveTCP(c)
		}
	})
	t.Cleanup(func() {
		tcp.Close()
		udp.Close()
		wg.Wait()
	})
	return s
}

// set replaces the records of a name, which are IP addresses with the same TTL.
func (s *dnsServer) set(name string, ttl uint32, ips ...string) {
	var records []dnsRecord
	for _, ip := range ips {
		records = append(records, dnsRecord{ttl: ttl, ip: ip})
	}
	s.setRecords(name, records...)
}

func (s *dnsServer) setRecords(name string, records ...dnsRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[name] = records
}

func (s *dnsServer) setFails(fails bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = fails
}

func (s *dnsServer) serveUDP(c net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		if reply := s.reply(buf[:n], true); reply != nil {
			c.WriteTo(reply, from)
		}
	}
}

func (s *dnsServer) serveTCP(c net.Conn) {
	defer c.Close()
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return
	}
	buf := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(c, buf); err != nil {
		return
	}
	if reply := s.reply(buf, false); reply != nil {
		binary.BigEndian.PutUint16(length[:], uint16(len(reply)))
		c.Write(length[:])
		c.Write(reply)
	}
}

func (s *dnsServer) reply(query []byte, udp bool) []byte {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil {
		return nil
	}
	question, err := p.Question()
	if err != nil {
		return nil
	}
	name := strings.ToLower(question.Name.String())
	select {
	case s.asked <- name:
	default:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: header.ID, Response: true, RecursionDesired: true, RecursionAvailable: true, Authoritative: true},
		Questions: []dnsmessage.Question{question},
	}
	records, exists := s.records[name]
	switch {
	case s.fails:
		m.RCode = dnsmessage.RCodeServerFailure
	case !exists:
		m.RCode = dnsmessage.RCodeNameError
	case s.truncates && udp:
		m.Truncated = true
	default:
		for _, r := range records {
			if body := r.body(); body != nil && r.kind() == question.Type {
				h := dnsmessage.ResourceHeader{Name: question.Name, Type: question.Type, Class: dnsmessage.ClassINET, TTL: r.ttl}
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: body})
			}
		}
	}
	reply, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return reply
}

func (r dnsRecord) kind() dnsmessage.Type {
	switch {
	case r.srv != nil:
		return dnsmessage.TypeSRV
	case netip.MustParseAddr(r.ip).Is4():
		return dnsmessage.TypeA
	}
	return dnsmessage.TypeAAAA
}

func (r dnsRecord) body() dnsmessage.ResourceBody {
	switch r.kind() {
	case dnsmessage.TypeSRV:
		return r.srv
	case dnsmessage.TypeA:
		return &dnsmessage.AResource{A: netip.MustParseAddr(r.ip).As4()}
	}
	return &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(r.ip).As16()}
}
