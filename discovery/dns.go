package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hanse-go/hanse/internal/backoff"
)

// DNS finds the instances of a service by name lookups: each address that the name has is one. Answers are asked again when their time
// to live (TTL) is over, but not more often than each second and at least every five minutes; every 30 seconds where there is none, as
// with names of the hosts file. While lookups fail, the last known instances stay; a name that DNS says does not exist has no
// instances. Names are resolved as Go's own resolver does it, by resolv.conf, hosts file and search list. DNS cannot list services:
// watching all of them finds none.
//
// The first notification of a Watch comes when the first lookup has ended, not before.
type DNS struct {
	// Name is what to look up; {service} in it is the name of the service. Host:port has an instance at each address of the host (A
	// and AAAA records). A host that begins with an underscore, such as _grpc._tcp.{service}.example.com, is looked up as SRV
	// records and has no port: there is an instance, with its weight, at each address of each target of the first priority.
	Name string
	// Server is the host:port of the DNS server to ask. The default is what the system is set to.
	Server string
	// Logger gets a warning when lookups begin to fail and an info when they succeed again. The default is slog.Default().
	Logger *slog.Logger
}

var _ Registry = (*DNS)(nil)

// servicePlaceholder stands for the name of the service in [DNS].Name.
const servicePlaceholder = "{service}"

const (
	minTTL     = time.Second
	maxTTL     = 5 * time.Minute
	noTTL      = 30 * time.Second // where the answer has none
	absentTTL  = 2 * time.Second  // where there is no such name
	lookupTime = 10 * time.Second // of one lookup, with all that it tries
)

// parseDNS reads dns:///name and dns://server/name.
func parseDNS(target string) (*DNS, error) {
	rest := strings.TrimPrefix(target, "dns:")
	d := &DNS{Name: rest}
	if authority, ok := strings.CutPrefix(rest, "//"); ok {
		server, name, ok := strings.Cut(authority, "/")
		if !ok {
			return nil, fmt.Errorf("write dns:///%s, with three slashes: what comes after two is the DNS server", authority)
		}
		d.Name = name
		if server != "" {
			var err error
			if d.Server, err = dnsServerAddress(server); err != nil {
				return nil, err
			}
		}
	}
	_, err := d.question("service")
	return d, err
}

// dnsServerAddress adds DNS's port to a server's host where none is given.
func dnsServerAddress(server string) (string, error) {
	if !strings.HasSuffix(server, "]") && (strings.Count(server, ":") == 1 || strings.HasPrefix(server, "[")) {
		_, _, err := splitHostPort(server)
		return server, err
	}
	server = net.JoinHostPort(strings.Trim(server, "[]"), "53")
	_, _, err := splitHostPort(server)
	return server, err
}

// String returns the registry's URL.
func (d *DNS) String() string { return "dns://" + d.Server + "/" + d.Name }

// dnsQuestion is what is asked for one service.
type dnsQuestion struct {
	service string
	host    string
	port    uint16 // 0: SRV
}

func (d *DNS) question(service string) (dnsQuestion, error) {
	name := strings.ReplaceAll(d.Name, servicePlaceholder, service)
	if strings.HasPrefix(name, "_") {
		if strings.ContainsAny(name, ":/") {
			return dnsQuestion{}, fmt.Errorf("%q: SRV records tell the port, so none can be given", name)
		}
		return dnsQuestion{service: service, host: name}, nil
	}
	host, port, err := splitHostPort(name)
	return dnsQuestion{service: service, host: host, port: port}, err
}

// Watch implements [Registry]. A Name that is neither host:port nor that of SRV records is an error.
func (d *DNS) Watch(ctx context.Context, service string, notify func([]Instance)) error {
	if strings.Contains(d.Name, servicePlaceholder) {
		if service == "" {
			notify(nil)
			<-ctx.Done()
			return nil
		}
		if err := CheckName(service); err != nil {
			return err
		}
	}
	q, err := d.question(service)
	if err != nil {
		return fmt.Errorf("discovery: DNS: %w", err)
	}
	w := &dnsWatch{dns: d, question: q, notify: notify, retry: backoff.Policy{Min: minTTL, Max: noTTL}}
	w.run(ctx)
	return nil
}

// dnsWatch follows one service.
type dnsWatch struct {
	dns      *DNS
	question dnsQuestion
	notify   func([]Instance)
	retry    backoff.Policy

	told     bool
	known    []Instance
	failures int // in a row
}

func (w *dnsWatch) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		list, ttl, err := w.dns.lookup(ctx, w.question)
		if ctx.Err() != nil {
			return
		}
		timer.Reset(w.learn(list, ttl, err))
	}
}

// learn takes the result of a lookup and returns when to ask again.
func (w *dnsWatch) learn(list []Instance, ttl time.Duration, err error) time.Duration {
	if err != nil {
		w.failures++
		if w.failures == 1 {
			w.dns.logger().Warn("DNS lookup failed; the last known instances stay", "service", w.question.service, "name", w.question.host, "known", len(w.known), "error", err)
		}
		w.tell(w.known)
		return w.retry.Delay(w.failures)
	}
	if w.failures > 0 {
		w.failures = 0
		w.dns.logger().Info("DNS lookup succeeds again", "service", w.question.service, "name", w.question.host, "instances", len(list))
	}
	w.tell(list)
	return ttl
}

// tell notifies of the list if it is news.
func (w *dnsWatch) tell(list []Instance) {
	if w.told && reflect.DeepEqual(w.known, list) {
		return
	}
	w.told, w.known = true, list
	w.notify(cloneAll(list))
}

func (d *DNS) logger() *slog.Logger {
	if d.Logger != nil {
		return d.Logger
	}
	return slog.Default()
}

// lookup returns the instances that DNS knows now, in order, and for how long that holds.
func (d *DNS) lookup(ctx context.Context, q dnsQuestion) ([]Instance, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	var ttl answerTTL
	resolver := ttl.resolver(d.Server)
	var list []Instance
	var err error
	if q.port != 0 {
		list, err = lookupHost(ctx, resolver, q.service, q.host, q.port)
	} else {
		list, err = lookupSRV(ctx, resolver, q.service, q.host)
	}
	var dnsErr *net.DNSError
	if errors.As(err, &dnsErr) && dnsErr.IsNotFound {
		return nil, absentTTL, nil
	}
	if err != nil {
		return nil, 0, err
	}
	slices.SortFunc(list, compareInstances)
	list = slices.CompactFunc(list, func(a, b Instance) bool { return a.Key() == b.Key() })
	return list, ttl.clamped(), nil
}

func lookupHost(ctx context.Context, resolver *net.Resolver, service, host string, port uint16) ([]Instance, error) {
	addrs, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	authority := net.JoinHostPort(strings.TrimSuffix(host, "."), strconv.Itoa(int(port)))
	var list []Instance
	for _, addr := range addrs {
		endpoint := url.URL{Scheme: "tcp", Host: netip.AddrPortFrom(addr.Unmap(), port).String()}
		list = append(list, Instance{Service: service, State: Ready, Endpoints: []string{endpoint.String()}, Authority: authority})
	}
	return list, nil
}

// lookupSRV returns an instance at each address of each target of the first priority. A target that has no address now is left out,
// unless none has one.
func lookupSRV(ctx context.Context, resolver *net.Resolver, service, name string) ([]Instance, error) {
	_, records, err := resolver.LookupSRV(ctx, "", "", name)
	if err != nil {
		return nil, err
	}
	var list []Instance
	var failed error
	for _, record := range records { // sorted by priority
		if record.Priority != records[0].Priority {
			break
		}
		found, err := lookupHost(ctx, resolver, service, record.Target, record.Port)
		if err != nil {
			failed = err
			continue
		}
		for i := range found {
			found[i].Weight = int(record.Weight)
		}
		list = append(list, found...)
	}
	if len(list) == 0 {
		return nil, failed
	}
	return list, nil
}

func cloneAll(list []Instance) []Instance {
	copies := make([]Instance, len(list))
	for i, inst := range list {
		copies[i] = inst.Clone()
	}
	return copies
}
