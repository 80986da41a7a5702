//go:build unix

package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	catalogv1 "github.com/hanse-go/hanse/examples/shop/proto/shop/catalog/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// TestFront reaches the shop at the one address that hanse dev gives it: by gRPC, and from a page in a browser, with the scripts of
// docs/guides/protocols.md.
func TestFront(t *testing.T) {
	s := dev(t)
	m := regexp.MustCompile(`(?m)^  gateway: http://([^/]+)/docs`).FindStringSubmatch(s.out.String())
	if m == nil {
		t.Fatalf("no gateway was announced:\n%s", s.out.String())
	}
	s.await(t, "the gateway knows all services", func() bool {
		resp, err := http.Get("http://" + m[1] + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})

	cc, err := grpc.NewClient("passthrough:///"+m[1], grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	if list, err := catalogv1.NewCatalogClient(cc).ListProducts(t.Context(), &catalogv1.ListProductsRequest{PageSize: 3}); err != nil || len(list.GetProducts()) != 3 {
		t.Errorf("by a stock client: %v, %v", list, err)
	}

	scripts := guideScripts(t)
	allocator, end := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.Flag("disable-background-networking", true))...)
	defer end()
	ctx, cancel := chromedp.NewContext(allocator)
	defer cancel()
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if err := chromedp.Do(ctx, chromedp.Navigate("http://"+m[1]+"/docs"), chromedp.WaitVisible(chromedp.CSS("article.overview"))); err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		want, err := json.Marshal(script.says)
		if err != nil {
			t.Fatal(err)
		}
		said, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(async () => {
			const lines = [], want = `+string(want)+`;
			const console = {log: (...words) => { if (lines.at(-1) !== words.join(" ")) lines.push(words.join(" ")); }};
			`+script.text+`
			for (const end = Date.now() + 30000; lines.join("\n") !== want && Date.now() < end;) await new Promise((done) => setTimeout(done, 20));
			return lines.join("\n");
		})()`, chromedp.EvalAwaitPromise))
		if err != nil || said != script.says {
			t.Errorf("%s\nsays\n%s\nand not\n%s\n%v", script.text, said, script.says, err)
		}
	}
}

// script is one that the guide shows, and what it says.
type script struct{ text, says string }

// guideScripts reads the scripts for a page of the shop.
func guideScripts(t *testing.T) (all []script) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "guides", "protocols.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)```js\n// in a page of localhost:8090\n(.*?)```(.*?)```text\n(.*?)\n```").FindAllStringSubmatch(string(text), -1) {
		all = append(all, script{m[1], m[3]})
	}
	if len(all) != 2 || slices.ContainsFunc(all, func(s script) bool { return strings.Contains(s.says, "`") }) {
		t.Fatalf("the guide has %d scripts: %q", len(all), all)
	}
	return all
}

// chromium returns the browser to test with: $HANSE_CHROMIUM, else one that is installed.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("HANSE_CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	if os.Getenv("HANSE_CI") != "" {
		t.Fatal("no Chromium: install it, or set HANSE_CHROMIUM to its path")
	}
	t.Skip("no Chromium, so the scripts of the guide were not run: install it, or set HANSE_CHROMIUM to its path")
	return ""
}
