package hanse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
)

// NATS is a [Backplane] that runs elsewhere, such as a hanse hub, by its URL:
//
//	nats://HOST:PORT,HOST:PORT…        servers of one cluster; the port is 4222 where none is given
//	nats://TOKEN@HOST…                 with a token
//	nats://USER:PASSWORD@HOST…         with a user
//	tls://HOST…                        with TLS, and the roots of this machine
//
// followed by ?, and joined by &:
//
//	token-file=FILE                    the token is in this file
//	creds=FILE                         a credentials file of NATS, with its JWT and key
//	ca=FILE                            the authorities of the servers' certificates
//	cert=FILE&key=FILE                 the certificate to show
//
// Tokens and passwords are shown nowhere.
type NATS string

// natsTarget is what a URL of NATS says.
type natsTarget struct {
	scheme  string // nats or tls
	secrets bool   // there is something before the @
	hosts   []string
	options []nats.Option
	query   url.Values
}

// Run returns when ctx ends: what runs, runs elsewhere.
func (n NATS) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Connect implements [Backplane].
func (n NATS) Connect(ctx context.Context, opts ...nats.Option) (*nats.Conn, error) {
	t, err := n.parse()
	if err != nil {
		return nil, err
	}
	files, err := t.files()
	if err != nil {
		return nil, err
	}
	var urls []string
	for _, host := range t.hosts {
		urls = append(urls, t.scheme+"://"+host)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nats.Connect(strings.Join(urls, ","), slices.Concat(t.options, files, opts)...)
}

// Check says what is wrong with the URL.
func (n NATS) Check() error {
	t, err := n.parse()
	if err == nil {
		_, err = t.files()
	}
	return err
}

// String returns the URL without its secrets.
func (n NATS) String() string {
	scheme, rest, ok := strings.Cut(string(n), "://")
	if !ok {
		return "a malformed URL"
	}
	hosts, query, _ := strings.Cut(rest, "?")
	text := scheme + "://"
	if at := strings.LastIndex(hosts, "@"); at >= 0 {
		hosts = hosts[at+1:]
		text += "…@"
	}
	if text += hosts; query != "" {
		text += "?" + query
	}
	return text
}

// GoString is String.
func (n NATS) GoString() string { return n.String() }

// LogValue is String: structured logs do not ask for that by themselves.
func (n NATS) LogValue() slog.Value { return slog.StringValue(n.String()) }

const natsForm = "want nats://HOST:PORT,… or tls://…, such as nats://127.0.0.1:4222?token-file=FILE"

// parse reads the URL. Its errors have no secrets in them.
func (n NATS) parse() (*natsTarget, error) {
	scheme, rest, ok := strings.Cut(string(n), "://")
	if !ok || scheme != "nats" && scheme != "tls" {
		return nil, errors.New(natsForm)
	}
	t := &natsTarget{scheme: scheme}
	rest, query, _ := strings.Cut(rest, "?")
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		user, password, both := strings.Cut(rest[:at], ":")
		user, err := url.PathUnescape(user)
		password, err2 := url.PathUnescape(password)
		if errors.Join(err, err2) != nil || user == "" {
			return nil, errors.New("what stands before the @ is no TOKEN and no USER:PASSWORD; percent-encode what is special in it")
		}
		if both {
			t.options = append(t.options, nats.UserInfo(user, password))
		} else {
			t.options = append(t.options, nats.Token(user))
		}
		t.secrets, rest = true, rest[at+1:]
	}
	for host := range strings.SplitSeq(strings.TrimSuffix(rest, "/"), ",") {
		host = strings.TrimPrefix(strings.TrimSpace(host), scheme+"://")
		u, err := url.Parse("//" + host)
		if err != nil || u.Host != host || u.Hostname() == "" {
			return nil, fmt.Errorf("%q is not HOST:PORT: %s", host, natsForm)
		}
		if u.Port() == "" {
			host = net.JoinHostPort(u.Hostname(), "4222")
		}
		t.hosts = append(t.hosts, host)
	}
	var err error
	if t.query, err = url.ParseQuery(query); err != nil {
		return nil, fmt.Errorf("%s is no list of KEY=VALUE", query)
	}
	for key := range t.query {
		if !slices.Contains([]string{"token-file", "creds", "ca", "cert", "key"}, key) {
			return nil, fmt.Errorf("unknown %q: after the ? there may be token-file, creds, ca, cert and key", key)
		}
	}
	if t.query.Has("cert") != t.query.Has("key") {
		return nil, errors.New("cert and key go together")
	}
	return t, nil
}

// files returns the options that are in files, which must be there.
func (t *natsTarget) files() (options []nats.Option, err error) {
	for key, files := range t.query {
		if _, err := os.Stat(files[0]); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	if file := t.query.Get("token-file"); file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("token-file: %w", err)
		}
		options = append(options, nats.Token(strings.TrimSpace(string(text))))
	}
	if file := t.query.Get("creds"); file != "" {
		options = append(options, nats.UserCredentials(file))
	}
	if file := t.query.Get("ca"); file != "" {
		options = append(options, nats.RootCAs(file))
	}
	if t.query.Has("cert") {
		options = append(options, nats.ClientCert(t.query.Get("cert"), t.query.Get("key")))
	}
	return options, nil
}
