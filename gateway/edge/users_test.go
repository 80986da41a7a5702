package edge_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hanse-go/hanse/gateway/edge"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// issuer makes verifiers that know the tokens "NAME/TENANT" while it is not away.
type issuer struct {
	mu   sync.Mutex
	open map[string]int // verifiers, by the issuer
	away bool
}

func (i *issuer) verifier(about edge.Tokens) edge.Verifier {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.open == nil {
		i.open = make(map[string]int)
	}
	i.open[about.Issuer]++
	return &verifier{i, about.Issuer}
}

func (i *issuer) now() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return fmt.Sprint(i.open)
}

type verifier struct {
	*issuer
	url string
}

func (v *verifier) Verify(_ context.Context, token string) (map[string]string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	name, tenant, ok := strings.Cut(token, "/")
	switch {
	case v.away:
		return nil, status.Error(codes.Unavailable, "nobody can tell")
	case !ok:
		return nil, status.Error(codes.Unauthenticated, "it is no good token")
	}
	return map[string]string{"sub": name, "tenant": tenant}, nil
}

func (v *verifier) Close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open[v.url]--; v.open[v.url] == 0 {
		delete(v.open, v.url)
	}
}

// Users are known by the tokens that the file describes, who they are is told to services, and a changed file counts.
func TestUsers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const rules = `
  access-log: true
  keys: {partner: KEY}
  rules:
    - {match: [/library.Library/Plain], auth: any}
    - {match: [/library.Library/GetBook], auth: user, rate: {per-second: 0.001, burst: 2, by: "claim:tenant"}}
`
	withRules := strings.ReplaceAll(rules, "KEY", sum("k"))
	w := newWorld(t)
	impl := &library{name: "one"}
	w.serve("books", impl)
	users := new(issuer)
	write("gateway:\n  users: {issuer: \"https://one.example\", audience: [shop], claims: [tenant]}" + withRules)
	w.open(&edge.Gateway{File: file, NewVerifier: users.verifier})
	get := func(header ...string) answer { return w.do(http.MethodPost, getBook, `{}`, header...) }

	for _, tt := range []struct {
		name      string
		header    []string
		challenge string
		says      string
	}{
		{"no token", nil, "Bearer", "send a token"},
		{"another scheme", []string{"Authorization", "Basic ada/a"}, `Bearer error="invalid_token"`, "Bearer TOKEN"},
		{"no token behind it", []string{"Authorization", "Bearer "}, `Bearer error="invalid_token"`, "Bearer TOKEN"},
		{"two tokens", []string{"Authorization", "Bearer ada/a", "Authorization", "Bearer bob/a"}, `Bearer error="invalid_token"`, "not one"},
		{"a bad token", []string{"Authorization", "Bearer ada"}, `Bearer error="invalid_token"`, "no good token"},
		{"a key in its place", []string{"X-Api-Key", "k"}, "Bearer", "send a token"},
	} {
		a := get(tt.header...)
		if a.code != 401 || a.header.Get("Www-Authenticate") != tt.challenge || !strings.Contains(a.body, tt.says) {
			t.Errorf("%s: %d %s %q", tt.name, a.code, a.body, a.header["Www-Authenticate"])
		}
	}
	a := get("Authorization", "bearer ada/a", "Hanse-Claim-Sub", "eve", "Hanse-Claim-Role", "root")
	a.want(t, 200, "")
	if a.header.Get("Www-Authenticate") != "" {
		t.Errorf("headers: %v", a.header)
	}
	if sub, tenant := impl.last("hanse-claim-sub"), impl.last("hanse-claim-tenant"); fmt.Sprint(sub, tenant, impl.last("hanse-claim-role")) != "[ada] [a] []" {
		t.Errorf("the service was told %v", impl.seen)
	}
	w.until("the access log has the user", func() bool { return strings.Contains(w.logs.String(), "user=ada") })
	get("Authorization", "Bearer bob/a").want(t, 200, "")
	get("Authorization", "Bearer cid/a").want(t, 429, "too many calls") // the tenant's bucket is empty
	get("Authorization", "Bearer cid/b").want(t, 200, "")
	const plain = "/library.Library/Plain"
	w.do(http.MethodPost, plain, `{}`, "X-Api-Key", "k").want(t, 200, "")
	w.do(http.MethodPost, plain, `{}`, "Authorization", "Bearer ada/a").want(t, 200, "")
	w.do(http.MethodPost, plain, `{}`).want(t, 401, "")

	users.mu.Lock()
	users.away = true
	users.mu.Unlock()
	a = get("Authorization", "Bearer cid/b")
	if a.want(t, 503, "nobody can tell"); a.header.Get("Www-Authenticate") != "" {
		t.Errorf("who cannot be judged is told to log in: %v", a.header)
	}

	// Another change keeps what knows users; another issuer replaces it, and without one there are no users.
	write("gateway:\n  docs: true\n  users: {issuer: \"https://one.example\", audience: [shop], claims: [tenant]}" + withRules)
	w.until("the change counts", func() bool { return w.get("/docs").code == 200 })
	if got := users.now(); got != "map[https://one.example:1]" {
		t.Errorf("what knows users: %s", got)
	}
	write("gateway:\n  users: {issuer: \"https://two.example\", audience: [shop]}\n")
	w.until("the other issuer counts", func() bool { return users.now() == "map[https://two.example:1]" })
	write("gateway:\n  users: {issuer: \"http://three.example\", audience: [shop]}\n")
	w.until("a mistake is told with its line", func() bool { return strings.Contains(w.logs.String(), ":2:19: gateway.users.issuer: ") })
	if got := users.now(); got != "map[https://two.example:1]" {
		t.Errorf("what knows users: %s", got)
	}
	write("gateway:\n  docs: true\n")
	w.until("there are no users", func() bool { return users.now() == "map[]" })
	write("gateway:\n  users: {issuer: \"https://two.example\", audience: [shop]}\n")
	w.until("they are back", func() bool { return users.now() == "map[https://two.example:1]" })
	if err := w.stop(); err != nil || users.now() != "map[]" {
		t.Errorf("after the end: %v, %s", err, users.now())
	}
}
