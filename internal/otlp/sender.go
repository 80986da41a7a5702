package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-go/hanse/internal/backoff"
)

// Bounds of a sender.
const (
	maxAttempts  = 10
	maxRetrying  = time.Minute // from the first failure on; a Retry-After beyond it is not waited for
	maxAnswer    = 64 << 10
	maxMessage   = 256 // of what a receiver says, in an error or a line of the log
	idleTimeout  = 90 * time.Second
	contentType  = "application/x-protobuf"
	userAgent    = "OTel-OTLP-Exporter-Hanse"
	retryAtFirst = time.Second
	retryAtMost  = 15 * time.Second
)

// Sender posts the requests of one signal. It holds no queue: Send returns when the receiver has the request or when it was dropped, so
// what waits meanwhile is bounded by its caller. All methods may be called concurrently.
type Sender struct {
	endpoint Endpoint
	client   *http.Client
	log      *slog.Logger
	zips     sync.Pool // *zipper

	sent, dropped, refused, attempts atomic.Uint64
	failing                          atomic.Bool // the last request was dropped
	toldRefused                      atomic.Bool
}

// Counts is what became of all that a sender was given: spans, points of metrics or log records.
type Counts struct {
	Sent     uint64 // taken by the receiver
	Dropped  uint64 // not taken: the receiver could not be reached, or refused the whole request
	Refused  uint64 // refused by a receiver that took the rest of the request
	Requests uint64 // attempts to send; not items
}

// NewSender reads the files that the endpoint names. A nil logger is slog.Default. Call Close when the last Send has returned.
func NewSender(e Endpoint, log *slog.Logger) (*Sender, error) {
	u, err := url.Parse(e.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("otlp: the endpoint is not a URL with http or https and a host")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.CA != "" {
		pem, err := os.ReadFile(e.CA)
		if err != nil {
			return nil, fmt.Errorf("otlp: read the certificates to trust: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("otlp: no certificate in %s: it has to be PEM", e.CA)
		}
	}
	if e.Certificate != "" {
		cert, err := tls.LoadX509KeyPair(e.Certificate, e.Key)
		if err != nil {
			return nil, fmt.Errorf("otlp: load the client's certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	if e.Timeout <= 0 {
		e.Timeout = DefaultTimeout
	}
	if log == nil {
		log = slog.Default()
	}
	return &Sender{
		endpoint: e,
		log:      log.With("endpoint", u.Redacted()),
		client: &http.Client{
			Transport: &http.Transport{
				Proxy:             http.ProxyFromEnvironment,
				TLSClientConfig:   config,
				ForceAttemptHTTP2: true,
				IdleConnTimeout:   idleTimeout,
			},
			// The body would be sent on, with its headers, to whom nobody has named.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		zips: sync.Pool{New: func() any { return &zipper{w: gzip.NewWriter(nil)} }},
	}, nil
}

// Close ends idle connections.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// Counts returns what became of all items so far.
func (s *Sender) Counts() Counts {
	return Counts{Sent: s.sent.Load(), Dropped: s.dropped.Load(), Refused: s.refused.Load(), Requests: s.attempts.Load()}
}

// Send posts a request that holds so many items, and tries again, at most for a minute and as the receiver asks, what can be tried
// again. The error says why the request was dropped; it was counted, and logged if the one before was not dropped as well. Send keeps
// nothing of body. It ends early when ctx does.
func (s *Sender) Send(ctx context.Context, body []byte, items int) error {
	err := s.send(ctx, body, items)
	if err == nil {
		if s.failing.CompareAndSwap(true, false) {
			s.log.Info("telemetry arrives again", "dropped", s.dropped.Load())
		}
		return nil
	}
	s.dropped.Add(uint64(items))
	if s.failing.CompareAndSwap(false, true) {
		s.log.Warn("telemetry is dropped: the receiver does not take it", "error", err)
	}
	return err
}

func (s *Sender) send(ctx context.Context, body []byte, items int) error {
	encoding := ""
	if s.endpoint.Gzip {
		z := s.zips.Get().(*zipper)
		defer s.zips.Put(z)
		body, encoding = z.zip(body), "gzip"
	}
	wait := backoff.Policy{Min: retryAtFirst, Max: retryAtMost}
	var until time.Time
	for n := 1; ; n++ {
		refused, err := s.post(ctx, body, encoding)
		if err == nil {
			refused = min(refused, uint64(items))
			s.sent.Add(uint64(items) - refused)
			s.refused.Add(refused)
			return nil
		}
		var again *retryable
		if !errors.As(err, &again) || n == maxAttempts || ctx.Err() != nil {
			return err
		}
		delay := max(wait.Delay(n), again.after)
		if until.IsZero() {
			until = time.Now().Add(maxRetrying)
		}
		if time.Now().Add(delay).After(until) {
			return err
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// retryable is a failure after which the same request may be sent again.
type retryable struct {
	err   error
	after time.Duration // not before
}

func (r *retryable) Error() string { return r.err.Error() }
func (r *retryable) Unwrap() error { return r.err }

// post makes one attempt. It returns how many items of a request that was taken were refused.
func (s *Sender) post(ctx context.Context, body []byte, encoding string) (refused uint64, err error) {
	s.attempts.Add(1)
	ctx, cancel := context.WithTimeout(ctx, s.endpoint.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint.URL, nil)
	if err != nil {
		return 0, err
	}
	if len(body) > 0 {
		p := &payload{data: body}
		defer p.end()
		req.Body, req.ContentLength = p.reader(), int64(len(body))
		req.GetBody = func() (io.ReadCloser, error) { return p.reader(), nil }
	}
	req.Header.Set("User-Agent", userAgent)
	for key, value := range s.endpoint.Header {
		req.Header.Set(key, value)
		if http.CanonicalHeaderKey(key) == "Host" {
			req.Host = value
		}
	}
	req.Header.Set("Content-Type", contentType)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	res, err := s.client.Do(req)
	if err != nil {
		var u *url.Error // its text has the URL, which the logger has, and may have a password
		if errors.As(err, &u) {
			err = u.Err
		}
		return 0, &retryable{err: err}
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer)) // what is missing of it tells less
	isProto := res.Header.Get("Content-Type") == contentType
	switch res.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		if !isProto {
			return 0, nil
		}
		refused, why := partialSuccess(answer)
		s.tell(refused, why)
		return refused, nil
	}
	err = fmt.Errorf("answered %s", res.Status)
	if why := statusMessage(answer); isProto && why != "" {
		err = fmt.Errorf("%w: %s", err, why)
	}
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return 0, &retryable{err: err, after: retryAfter(res.Header.Get("Retry-After"), time.Now())}
	}
	return 0, err
}

// tell logs the first time what a receiver says about a request that it took.
func (s *Sender) tell(refused uint64, why string) {
	if (refused > 0 || why != "") && s.toldRefused.CompareAndSwap(false, true) {
		s.log.Warn("the receiver of telemetry took a request with a remark; later ones are only counted", "refused", refused, "remark", why)
	}
}

// retryAfter reads a number of seconds or a date. What cannot be read is no wait.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// zipper compresses request after request with the same memory.
type zipper struct {
	w   *gzip.Writer
	out bytes.Buffer
}

func (z *zipper) zip(body []byte) []byte {
	z.out.Reset()
	z.w.Reset(&z.out)
	z.w.Write(body) // a bytes.Buffer takes everything
	z.w.Close()
	return z.out.Bytes()
}
