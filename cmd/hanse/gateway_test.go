package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// frontDoor is a hanse gateway that runs before the service shelf.
type frontDoor struct {
	*machine
	dir, file, url string
	cmd            *exec.Cmd
	out            *output
}

// front starts the gateway with a file, and waits until it is ready.
func front(t *testing.T, settings string) *frontDoor {
	t.Helper()
	f := &frontDoor{machine: newMachine(t)}
	f.dir = f.system("greeter.txtar")
	f.start("served", "shelf")
	f.await("the service runs", func() bool {
		_, _, status := f.hanse(f.dir, "call", "shelf/Get")
		return status == 0
	})
	f.file = filepath.Join(f.dir, "gateway.yaml")
	write(t, f.file, settings)
	f.cmd, f.out = f.start("hanse", "gateway", "--config", f.file)
	listens := regexp.MustCompile(`✓ what runs for \S+ is at (\S+)`)
	f.await("the gateway listens", func() bool { return listens.MatchString(f.out.String()) })
	f.url = "http://" + listens.FindStringSubmatch(f.out.String())[1]
	f.await("the gateway is ready", func() bool { res, _ := f.send("GET", "/readyz", ""); return res.StatusCode == 200 })
	return f
}

func (f *frontDoor) start(name string, args ...string) (*exec.Cmd, *output) {
	f.t.Helper()
	cmd, out := exec.Command(filepath.Join(f.bin, name), args...), new(output)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = f.dir, f.env, out, out
	startGroup(f.t, cmd, out)
	return cmd, out
}

// send sends a request with header fields, and returns the response and its body.
func (f *frontDoor) send(method, path, body string, header ...string) (*http.Response, string) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for n := 0; n < len(header); n += 2 {
		req.Header.Set(header[n], header[n+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return res, string(data)
}

// says waits until the gateway has said something.
func (f *frontDoor) says(text string) {
	f.t.Helper()
	f.await("the gateway says "+text, func() bool { return strings.Contains(f.out.String(), text) })
}

const getShelf = "/shelf.v1.Shelf/Get"

// TestGateway puts the gateway before a running service, with a file that changes.
func TestGateway(t *testing.T) {
	f := front(t, "gateway:\n  listen: 127.0.0.1:0\n  access-log: true\n")
	if res, answer := f.send("POST", getShelf, `{"name":"tea","size":"SIZE_LARGE"}`); res.StatusCode != 200 || !strings.Contains(answer, "SIZE_LARGE") {
		t.Errorf("%s %s", res.Status, answer)
	}
	if res, answer := f.send("POST", getShelf, `{"name":"nothing"}`); res.StatusCode != 404 || !strings.Contains(answer, "NO_SUCH_ITEM") {
		t.Errorf("%s %s", res.Status, answer)
	}
	f.says("method=" + getShelf + " code=NotFound")
	write(t, f.file, "gateway:\n  listen: 127.0.0.1:0\n  rules:\n    - match: [\"*\"]\n      auth: kye\n")
	f.says("gateway.yaml:5:13: gateway.rules[0].auth: ")
	if res, _ := f.send("POST", getShelf, `{}`); res.StatusCode != 200 {
		t.Errorf("after a mistake in the file: %s", res.Status)
	}
	if err := f.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Wait(); err != nil {
		t.Errorf("at SIGTERM: %v", err)
	}
	for args, want := range map[string]string{
		"--config /nowhere/gateway.yaml":         "/nowhere/gateway.yaml",
		"--listen 0.0.0.0:0":                     "expose: name the services",
		"--log-format xml":                       "xml",
		"--config gateway.yaml --listen :0":      "listen",
		"--config gateway.yaml":                  "      auth: kye\n                ^^^\n",
		"--system nowhere --listen 127.0.0.1:0":  "nowhere",
		"--registry memory: --listen :0 --docs":  "memory",
		"--identity /nowhere --listen 127.0.0.1": "no such file",
	} {
		if _, errs, status := f.hanse(f.dir, append([]string{"gateway"}, strings.Fields(args)...)...); status == 0 || !strings.Contains(errs, want) {
			t.Errorf("hanse gateway %s: status %d, %s, want %q", args, status, errs, want)
		}
	}
}

// TestGatewayGuide makes the mistake that docs/guides/gateway.md shows.
func TestGatewayGuide(t *testing.T) {
	p := newMachine(t)
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "guides", "gateway.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, file, _ := strings.Cut(string(text), "```yaml\n")
	file, rest, _ := strings.Cut(file, "```")
	_, said, _ := strings.Cut(rest, "```text\n")
	said, _, _ = strings.Cut(said, "```")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "gateway.yaml"), strings.Replace(file, "auth: open", "auth: opne", 1))
	_, errs, status := p.hanse(dir, "gateway", "--registry", "static:catalog=127.0.0.1:1", "--config", "gateway.yaml")
	if status != 1 || errs != said {
		t.Errorf("status %d,\n%s\nand the guide has\n%s", status, errs, said)
	}
}

// TestGatewayUsers asks for the tokens of an issuer, which comes late, goes away and comes back.
func TestGatewayUsers(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var here atomic.Bool
	var issuer *httptest.Server
	issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case !here.Load():
			http.Error(w, "not now", http.StatusServiceUnavailable)
		case r.URL.Path == "/keys":
			json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: private.Public(), KeyID: "1", Use: "sig"}}})
		default:
			json.NewEncoder(w).Encode(map[string]any{"issuer": issuer.URL, "jwks_uri": issuer.URL + "/keys"})
		}
	}))
	t.Cleanup(issuer.Close)
	token := func(change ...any) string {
		t.Helper()
		claims := map[string]any{"iss": issuer.URL, "sub": "ada", "aud": "shop", "exp": time.Now().Add(time.Hour).Unix(), "tenant": "amber"}
		for n := 0; n < len(change); n += 2 {
			claims[change[n].(string)] = change[n+1]
		}
		payload, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: private, KeyID: "1"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(payload)
		if err != nil {
			t.Fatal(err)
		}
		text, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	settings := "gateway:\n  listen: 127.0.0.1:0\n  users: {issuer: '" + issuer.URL + "', audience: [shop], claims: [tenant]}\n  rules:\n    - {match: [\"*\"], auth: user}\n"
	f := front(t, settings)
	f.says("the issuer of users' tokens does not answer as it should: users are refused until it does")
	wants := func(code int, text, token string) {
		t.Helper()
		header := []string{"Hanse-Claim-Sub", "eve"}
		if token != "" {
			header = append(header, "Authorization", "Bearer "+token)
		}
		res, answer := f.send("POST", getShelf, `{"name":"tea"}`, header...)
		answer = strings.ReplaceAll(answer, `", "`, `","`) // protobuf's JSON has blanks at random
		if res.StatusCode != code || !strings.Contains(answer, text) || (code == 401) != strings.HasPrefix(res.Header.Get("Www-Authenticate"), "Bearer") {
			t.Errorf("%s %s %v, want %d %s", res.Status, answer, res.Header, code, text)
		}
	}
	wants(401, "send a token", "")
	wants(503, "its issuer does not answer", token())
	here.Store(true)
	f.await("the issuer is asked again", func() bool {
		res, _ := f.send("POST", getShelf, `{}`, "Authorization", "Bearer "+token())
		return res.StatusCode == 200
	})
	f.says("the issuer of users' tokens has told its keys")
	wants(200, `["ada","amber"]`, token())
	wants(401, "expired", token("exp", time.Now().Add(-time.Hour).Unix()))
	wants(401, "different provider", token("iss", "https://other.example"))
	wants(401, "(aud)", token("aud", "other"))
	here.Store(false)
	wants(200, "tea", token()) // its keys count on
	write(t, f.file, strings.Replace(settings, "[shop]", "[desk]", 1))
	f.await("the change counts", func() bool {
		res, _ := f.send("POST", getShelf, `{}`, "Authorization", "Bearer "+token())
		return res.StatusCode == 503 // of another audience nothing is known yet
	})
	here.Store(true)
	f.await("the issuer is asked again", func() bool {
		res, _ := f.send("POST", getShelf, `{}`, "Authorization", "Bearer "+token("aud", "desk"))
		return res.StatusCode == 200
	})
	wants(401, "(aud)", token())
	write(t, f.file, strings.Replace(settings, "'http:", "'ftp:", 1))
	f.says("gateway.yaml:3:19: gateway.users.issuer: ")
	wants(200, "tea", token("aud", "desk"))
}

// withHeader adds headers to all requests.
type withHeader map[string]string

func (h withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range h {
		r.Header.Set(name, value)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// TestGatewayMCP calls a method as an agent does, with the client of the protocol's own SDK.
func TestGatewayMCP(t *testing.T) {
	sum := sha256.Sum256([]byte("secret"))
	f := front(t, "gateway:\n  listen: 127.0.0.1:0\n  mcp: true\n  tools: [/shelf.v1.Shelf/*]\n  keys: {agent: "+hex.EncodeToString(sum[:])+"}\n  rules:\n    - {match: ['*'], auth: key}\n")
	connect := func(header withHeader) (*mcp.ClientSession, error) {
		client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
		return client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: f.url + "/mcp", HTTPClient: &http.Client{Transport: header}, MaxRetries: -1}, nil)
	}
	if _, err := connect(nil); err == nil {
		t.Error("an agent without a key may connect")
	}
	if res, text := f.send("POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`); res.StatusCode != 401 || !strings.Contains(text, "x-api-key") {
		t.Errorf("%s %s", res.Status, text)
	}
	session, err := connect(withHeader{"X-Api-Key": "secret", "Who": "me"})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	list, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Tools) != 1 || list.Tools[0].Name != "shelf_v1_Shelf_Get" || list.Tools[0].Annotations.ReadOnlyHint { // the others stream
		t.Fatalf("%+v", list.Tools)
	}
	for name, want := range map[string]string{"tea": `"me"`, "nothing": "NO_SUCH_ITEM"} {
		r, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "shelf_v1_Shelf_Get", Arguments: map[string]any{"name": name}})
		if err != nil {
			t.Fatal(err)
		}
		text, ok := r.Content[0].(*mcp.TextContent)
		if !ok || r.IsError != (name == "nothing") || !strings.Contains(text.Text, want) {
			t.Errorf("%s: %+v %+v", name, r, text)
		}
	}
}
