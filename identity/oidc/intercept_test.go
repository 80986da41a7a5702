package oidc_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/hanse-go/hanse"
	"github.com/hanse-go/hanse/hansetest"
	"github.com/hanse-go/hanse/identity/oidc"
	"github.com/hanse-go/hanse/rpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// teller answers with the user's name, or with that which the next service knows.
type teller struct {
	testpb.UnimplementedTestServiceServer
	next testpb.TestServiceClient
	opts []grpc.CallOption
}

func userOf(ctx context.Context) string {
	user, ok := oidc.FromContext(ctx)
	if !ok {
		return "nobody"
	}
	return user.Subject
}

func (s *teller) UnaryCall(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if s.next != nil {
		return s.next.UnaryCall(ctx, req, s.opts...)
	}
	return &testpb.SimpleResponse{Username: userOf(ctx)}, nil
}

func (s *teller) FullDuplexCall(stream testpb.TestService_FullDuplexCallServer) error {
	name := userOf(stream.Context())
	if s.next != nil {
		next, err := s.next.FullDuplexCall(stream.Context(), s.opts...)
		if err != nil {
			return err
		}
		next.CloseSend()
		reply, err := next.Recv()
		if err != nil {
			return err
		}
		name = string(reply.Payload.Body)
	}
	return stream.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{Body: []byte(name)}})
}

// ask calls a teller by a unary call and by a stream, which must have one outcome, and returns it.
func ask(t *testing.T, cc grpc.ClientConnInterface, authorization ...string) string {
	t.Helper()
	ctx := t.Context()
	for _, a := range authorization {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", a)
	}
	client := testpb.NewTestServiceClient(cc)
	reply, err := client.UnaryCall(ctx, &testpb.SimpleRequest{})
	unary := reply.GetUsername()
	if err != nil {
		unary = status.Code(err).String() + ": " + status.Convert(err).Message()
	}
	stream, err := client.FullDuplexCall(ctx)
	var message *testpb.StreamingOutputCallResponse
	if err == nil {
		stream.CloseSend()
		message, err = stream.Recv()
	}
	streamed := string(message.GetPayload().GetBody())
	if err != nil {
		streamed = status.Code(err).String() + ": " + status.Convert(err).Message()
	} else if _, err := stream.Recv(); err != io.EOF {
		t.Errorf("the stream ends with %v", err)
	}
	if unary != streamed {
		t.Errorf("a unary call: %s; a stream: %s", unary, streamed)
	}
	return unary
}

func service(name string, v *oidc.Verifier, impl *teller) *hanse.Service {
	svc := &hanse.Service{Name: name}
	if v != nil {
		svc.UnaryInterceptors = []grpc.UnaryServerInterceptor{v.UnaryInterceptor}
		svc.StreamInterceptors = []grpc.StreamServerInterceptor{v.StreamInterceptor}
	}
	testpb.RegisterTestServiceServer(svc, impl)
	return svc
}

// TestInterceptors holds what calls get, on each path.
func TestInterceptors(t *testing.T) {
	i, k := newIssuer(t), newKey(t, "1", jose.ES256)
	i.publish(k)
	ann := k.token(t, i.claims(nil))
	expired := k.token(t, i.claims(claims{"exp": time.Now().Add(-time.Hour).Unix()}))
	hansetest.EachPath(t, func(t *testing.T, on hansetest.Options) {
		optional, public, wrong := i.verifier(t), i.verifier(t), i.verifier(t)
		optional.Optional = true
		public.Public = []string{"grpc.testing.TestService/Unary*", "/grpc.testing.TestService/FullDuplexCall"}
		wrong.Audience = nil
		away := i.verifier(t)
		away.Issuer = "http://127.0.0.1:1"
		sys := on.Run(t, service("bank", i.verifier(t), &teller{}), service("shop", optional, &teller{}), service("park", public, &teller{}),
			service("ruin", wrong, &teller{}), service("island", away, &teller{}))
		for _, tt := range []struct {
			service       string
			authorization []string
			want          string
		}{
			{"bank", []string{"Bearer " + ann}, "ann"},
			{"bank", []string{"bearer  " + ann}, "ann"},
			{"bank", nil, `Unauthenticated: the token of the call: there is none: send the metadata "authorization: Bearer TOKEN"`},
			{"bank", []string{""}, "Unauthenticated: the token of the call: the authorization is not"},
			{"bank", []string{"Bearer"}, "Unauthenticated: the token of the call: the authorization is not"},
			{"bank", []string{"Basic YTpi"}, "Unauthenticated: the token of the call: the authorization is not"},
			{"bank", []string{"Bearer " + ann, "Bearer " + ann}, "Unauthenticated: the token of the call: there are several"},
			{"bank", []string{"Bearer hello"}, "Unauthenticated: the token of the call: malformed jwt"},
			{"bank", []string{"Bearer " + expired}, "Unauthenticated: the token of the call: it expired at 20"},
			{"shop", []string{"Bearer " + ann}, "ann"},
			{"shop", nil, "nobody"},
			{"shop", []string{"Bearer " + expired}, "Unauthenticated: the token of the call: it expired"},
			{"park", nil, "nobody"},
			{"park", []string{"Bearer " + ann}, "ann"},
			{"park", []string{"Bearer hello"}, "Unauthenticated: "},
			{"ruin", []string{"Bearer " + ann}, "Internal: oidc: Verifier.Audience is empty"},
			{"ruin", nil, "Internal: oidc: Verifier.Audience is empty"},
			{"island", []string{"Bearer " + ann}, "Unavailable: the token of the call cannot be verified now: its issuer does not answer as it should; see the server's log"},
		} {
			if got := ask(t, sys.Conn(tt.service), tt.authorization...); !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s with %.20q: %s, want %s", tt.service, tt.authorization, got, tt.want)
			}
		}
		if _, err := healthpb.NewHealthClient(sys.Conn("bank")).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
			t.Errorf("health: %v", err)
		}
	})
}

// TestForward holds who passes a token on, and over what.
func TestForward(t *testing.T) {
	i, k := newIssuer(t), newKey(t, "1", jose.ES256)
	i.publish(k)
	ann, bob := k.token(t, i.claims(nil)), k.token(t, i.claims(claims{"sub": "bob"}))
	const refused = "Unauthenticated: the token of the call: there is none"
	for _, path := range []rpc.Path{rpc.InProcess, rpc.TCP, hansetest.Memory} {
		t.Run(string(path), func(t *testing.T) {
			optional := i.verifier(t)
			optional.Optional = true
			back := service("back", i.verifier(t), &teller{})
			// front makes a service that calls back.
			front := func(name string, prepare func(*hanse.Service, *teller)) *hanse.Service {
				impl := &teller{}
				svc := service(name, optional, impl)
				if prepare != nil {
					prepare(svc, impl)
				}
				impl.next = testpb.NewTestServiceClient(svc.Conn("back"))
				return svc
			}
			intercept := func(f oidc.Forward) func(*hanse.Service, *teller) {
				return func(svc *hanse.Service, _ *teller) {
					svc.ClientUnaryInterceptors = []grpc.UnaryClientInterceptor{f.UnaryInterceptor}
					svc.ClientStreamInterceptors = []grpc.StreamClientInterceptor{f.StreamInterceptor}
				}
			}
			sys := hansetest.Options{Path: path}.Run(t, back, front("silent", nil),
				front("option", func(_ *hanse.Service, s *teller) {
					s.opts = []grpc.CallOption{grpc.PerRPCCredentials(oidc.Forward{Plaintext: true})}
				}),
				front("always", intercept(oidc.Forward{Plaintext: true})),
				front("careful", intercept(oidc.Forward{})),
				front("other", func(svc *hanse.Service, s *teller) {
					intercept(oidc.Forward{Plaintext: true})(svc, s)
					s.opts = []grpc.CallOption{grpc.PerRPCCredentials(fixed("Bearer " + bob))}
				}),
				front("own", func(svc *hanse.Service, s *teller) {
					intercept(oidc.Forward{Plaintext: true})(svc, s)
					own := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
						return invoke(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+bob), method, req, reply, cc, opts...)
					}
					ownStream := func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, begin grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
						return begin(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+bob), desc, cc, method, opts...)
					}
					svc.ClientUnaryInterceptors = append([]grpc.UnaryClientInterceptor{own}, svc.ClientUnaryInterceptors...)
					svc.ClientStreamInterceptors = append([]grpc.StreamClientInterceptor{ownStream}, svc.ClientStreamInterceptors...)
				}))
			careful := "ann"
			if path != rpc.InProcess {
				careful = "Unauthenticated: transport: cannot send secure credentials on an insecure connection"
			}
			for service, want := range map[string]string{"silent": refused, "option": "ann", "always": "ann", "careful": careful, "other": "bob", "own": "bob"} {
				if got := ask(t, sys.Conn(service), "Bearer "+ann); !strings.HasPrefix(got, want) {
					t.Errorf("%s: %s, want %s", service, got, want)
				}
			}
			for _, service := range []string{"option", "always", "careful"} {
				got := ask(t, sys.Conn(service))
				if service == "option" && path != rpc.InProcess || strings.HasPrefix(got, refused) {
					continue
				}
				t.Errorf("%s without a user: %s", service, got)
			}
		})
	}
}

// fixed is an authorization of one's own.
type fixed string

func (f fixed) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": string(f)}, nil
}
func (fixed) RequireTransportSecurity() bool { return false }

// TestForwardGiven holds that a user whom nobody verified is not passed on.
func TestForwardGiven(t *testing.T) {
	ctx := oidc.NewContext(t.Context(), &oidc.Token{Subject: "ann"})
	if md, err := (oidc.Forward{}).GetRequestMetadata(ctx); len(md) != 0 || err != nil {
		t.Errorf("%v, %v", md, err)
	}
	if !(oidc.Forward{}).RequireTransportSecurity() {
		t.Error("tokens go over plaintext")
	}
	user, _ := oidc.FromContext(ctx)
	if err := user.Claims(&struct{}{}); err != nil {
		t.Error(err)
	}
	if _, ok := oidc.FromContext(t.Context()); ok {
		t.Error("a user from nowhere")
	}
}

func TestHandler(t *testing.T) {
	i, k := newIssuer(t), newKey(t, "1", jose.ES256)
	i.publish(k)
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, userOf(r.Context())) })
	optional, away, wrong := i.verifier(t), i.verifier(t), i.verifier(t)
	optional.Optional, away.Issuer, wrong.Audience = true, "http://127.0.0.1:1", nil
	for _, tt := range []struct {
		v             *oidc.Verifier
		authorization string
		code          int
		want          string
	}{
		{i.verifier(t), "Bearer " + k.token(t, i.claims(nil)), 200, "ann"},
		{i.verifier(t), "", 401, "there is none"},
		{i.verifier(t), "Bearer x", 401, "malformed"},
		{optional, "", 200, "nobody"},
		{away, "Bearer x", 503, "cannot be verified now"},
		{wrong, "Bearer x", 500, "Audience is empty"},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		if tt.authorization != "" {
			r.Header.Set("Authorization", tt.authorization)
		}
		tt.v.Handler(page).ServeHTTP(w, r)
		if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.want) || (tt.code == 401) != (w.Header().Get("WWW-Authenticate") == "Bearer") {
			t.Errorf("%.10q: %d %s %v", tt.authorization, w.Code, w.Body, w.Header())
		}
	}
}

func TestCodes(t *testing.T) {
	i := newIssuer(t)
	_, err := i.verifier(t).UnaryInterceptor(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/a.B/C"}, nil)
	if status.Code(err) != codes.Unauthenticated {
		t.Error(err)
	}
}

func BenchmarkVerify(b *testing.B) {
	t := &testing.T{}
	i, k := &issuer{URL: "https://login.example.com"}, newKey(t, "1", jose.ES256)
	i.publish(k)
	v := i.within(t)
	raw := k.token(t, i.claims(nil))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), raw); err != nil {
			b.Fatal(err)
		}
	}
}
