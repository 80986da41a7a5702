package otlp_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/internal/otlp"
	colltrace "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
)

// receiver is an HTTP server on the loopback interface.
func receiver(t *testing.T, h http.HandlerFunc) *httptest.Server {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

func sender(t *testing.T, e otlp.Endpoint) (*otlp.Sender, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	s, err := otlp.NewSender(e, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, &log
}

func TestSend(t *testing.T) {
	want := otlp.AppendTraces(nil, []otlp.ResourceSpans{{Resource: resource, Scopes: []otlp.ScopeSpans{{Spans: []otlp.Span{{TraceID: traceID, SpanID: spanID}}}}}})
	for _, zip := range []bool{false, true} {
		var bodies atomic.Int32
		srv := receiver(t, func(w http.ResponseWriter, req *http.Request) {
			body := io.Reader(req.Body)
			if zip {
				if req.Header.Get("Content-Encoding") != "gzip" {
					t.Errorf("not compressed: %v", req.Header)
				}
				z, err := gzip.NewReader(req.Body)
				if err != nil {
					t.Error(err)
					return
				}
				body = z
			}
			got, err := io.ReadAll(body)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %x, %v", got, err)
			}
			if req.Method != "POST" || req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" || req.Header.Get("Api-Key") != "secret" {
				t.Errorf("%s %s %v", req.Method, req.URL, req.Header)
			}
			bodies.Add(1)
		})
		s, log := sender(t, otlp.Endpoint{URL: srv.URL + "/v1/traces", Gzip: zip, Header: map[string]string{"api-key": "secret"}})
		for range 3 {
			if err := s.Send(t.Context(), want, 1); err != nil {
				t.Error(err)
			}
		}
		if got := s.Counts(); got != (otlp.Counts{Sent: 3, Requests: 3}) || bodies.Load() != 3 {
			t.Errorf("%+v, %d bodies", got, bodies.Load())
		}
		if log.Len() > 0 {
			t.Errorf("logged %s", log)
		}
	}
}

// TestNotAgain holds what is dropped at once, why, and that it is logged once and without secrets.
func TestNotAgain(t *testing.T) {
	down := true
	srv := receiver(t, func(w http.ResponseWriter, req *http.Request) {
		if !down {
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		w.WriteHeader(http.StatusBadRequest)
		b, _ := proto.Marshal(&statuspb.Status{Code: 3, Message: "spans without\nnames"})
		w.Write(b)
	})
	s, log := sender(t, otlp.Endpoint{URL: strings.Replace(srv.URL, "//", "//user:hunter2@", 1), Header: map[string]string{"api-key": "secret"}})
	for range 2 {
		if err := s.Send(t.Context(), []byte("x"), 5); err == nil || !strings.Contains(err.Error(), "400") || !strings.Contains(err.Error(), "spans without names") {
			t.Errorf("got %v", err)
		}
	}
	if got := s.Counts(); got != (otlp.Counts{Dropped: 10, Requests: 2}) {
		t.Errorf("%+v", got)
	}
	down = false
	if err := s.Send(t.Context(), []byte("x"), 5); err != nil {
		t.Error(err)
	}
	if lines := strings.Split(strings.TrimSpace(log.String()), "\n"); len(lines) != 2 || !strings.Contains(lines[0], "spans without names") || !strings.Contains(lines[1], "dropped=10") {
		t.Errorf("logged %s", log)
	}
	if strings.Contains(log.String(), "secret") || strings.Contains(log.String(), "hunter2") {
		t.Errorf("logged a secret: %s", log)
	}
}

func TestPartialSuccess(t *testing.T) {
	srv := receiver(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/x-protobuf")
		b, _ := proto.Marshal(&colltrace.ExportTraceServiceResponse{PartialSuccess: &colltrace.ExportTracePartialSuccess{RejectedSpans: 2, ErrorMessage: "too old"}})
		w.Write(b)
	})
	s, log := sender(t, otlp.Endpoint{URL: srv.URL})
	for range 2 {
		if err := s.Send(t.Context(), []byte("x"), 5); err != nil {
			t.Error(err)
		}
	}
	if got := s.Counts(); got != (otlp.Counts{Sent: 6, Refused: 4, Requests: 2}) {
		t.Errorf("%+v", got)
	}
	if n := strings.Count(log.String(), "too old"); n != 1 {
		t.Errorf("logged %d times: %s", n, log)
	}
}

// TestRedirect holds that a body and its headers go to nobody else.
func TestRedirect(t *testing.T) {
	other := receiver(t, func(http.ResponseWriter, *http.Request) { t.Error("reached") })
	srv := receiver(t, func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, other.URL, http.StatusTemporaryRedirect)
	})
	s, _ := sender(t, otlp.Endpoint{URL: srv.URL})
	if err := s.Send(t.Context(), []byte("x"), 1); err == nil || !strings.Contains(err.Error(), "307") {
		t.Errorf("got %v", err)
	}
}

// TestAgain holds what is sent again, and when.
func TestAgain(t *testing.T) {
	for _, tt := range []struct {
		name     string
		status   []int
		after    string
		sent     bool
		requests uint64
		least    time.Duration
		most     time.Duration
	}{
		{"at once", []int{200}, "", true, 1, 0, 0},
		{"each status", []int{429, 502, 503, 504, 200}, "", true, 5, 500*time.Millisecond + 1*time.Second + 2*time.Second + 4*time.Second, 15 * time.Second},
		{"Retry-After", []int{503, 200}, "20", true, 2, 20 * time.Second, 20 * time.Second},
		{"Retry-After that is too long", []int{503}, "61", false, 1, 0, 0},
		{"for a minute", []int{503, 503, 503, 503, 503, 503, 503, 503, 503, 503, 503}, "", false, 0, 30 * time.Second, time.Minute},
		{"not", []int{500, 200}, "", false, 1, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				next := 0
				s, _ := sender(t, otlp.Endpoint{URL: "http://collector"})
				s.SetTransport(func(req *http.Request) (*http.Response, error) {
					w := httptest.NewRecorder()
					if tt.after != "" {
						w.Header().Set("Retry-After", tt.after)
					}
					w.WriteHeader(tt.status[next])
					next++
					return w.Result(), nil
				})
				begin := time.Now()
				err := s.Send(t.Context(), []byte("x"), 1)
				if took := time.Since(begin); took < tt.least || took > tt.most {
					t.Errorf("took %v", took)
				}
				if (err == nil) != tt.sent {
					t.Errorf("got %v", err)
				}
				if got := s.Counts().Requests; got != tt.requests && tt.requests > 0 {
					t.Errorf("%d requests", got)
				}
			})
		})
	}
}

// TestEnds holds that a wait ends with the context, and that an attempt ends at its timeout.
func TestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := sender(t, otlp.Endpoint{URL: "http://collector", Timeout: 3 * time.Second})
		s.SetTransport(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		})
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		begin := time.Now()
		if err := s.Send(ctx, []byte("x"), 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begin); took != 3500*time.Millisecond || s.Counts().Dropped != 1 {
			t.Errorf("took %v, %+v", took, s.Counts())
		}
	})
}

// TestUnreachable holds that the error has no URL, for that may have a password.
func TestUnreachable(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lis.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, log := sender(t, otlp.Endpoint{URL: "http://user:hunter2@" + lis.Addr().String()})
	if err := s.Send(ctx, []byte("x"), 1); err == nil || strings.Contains(err.Error()+log.String(), "hunter2") {
		t.Errorf("got %v, logged %s", err, log)
	}
}

func TestTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if len(req.TLS.PeerCertificates) != 1 {
			t.Error("no client certificate")
		}
	}))
	srv.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	defer srv.Close()
	dir := t.TempDir()
	write := func(name, typ string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := x509.MarshalPKCS8PrivateKey(srv.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	e := otlp.Endpoint{URL: srv.URL, CA: write("ca.pem", "CERTIFICATE", srv.Certificate().Raw)}
	e.Certificate, e.Key = e.CA, write("key.pem", "PRIVATE KEY", key)
	s, _ := sender(t, e)
	if err := s.Send(t.Context(), []byte("x"), 1); err != nil {
		t.Error(err)
	}

	for _, bad := range []otlp.Endpoint{
		{URL: srv.URL, CA: filepath.Join(dir, "none")}, {URL: srv.URL, CA: e.Key}, {URL: srv.URL, Certificate: e.Key, Key: e.Key}, {URL: "ftp://x"}, {},
	} {
		if _, err := otlp.NewSender(bad, nil); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}
