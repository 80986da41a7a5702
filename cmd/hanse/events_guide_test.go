package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	guideFile    = regexp.MustCompile("(?ms)^```(?:go|proto)\n// (\\S+\\.(?:go|proto))\n(.*?)^```$")
	guideCommand = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
)

// TestEventsGuide makes the system of docs/guides/events.md, runs it by hanse dev, and carries out the commands of the page.
func TestEventsGuide(t *testing.T) {
	p := newMachine(t)
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "guides", "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := p.system("events.txtar")
	edit(t, filepath.Join(dir, "go.mod"), "module example.com/events", "module example.com/greeter")
	for _, m := range guideFile.FindAllStringSubmatch(string(text), -1) {
		switch m[1] { // the page has other programs, too
		case "proto/orders/v1/orders.proto", "orders/orders.go", "mailer/mailer.go":
			write(t, filepath.Join(dir, filepath.FromSlash(m[1])), m[2])
		}
	}
	if out, errs, status := p.hanse(dir, "gen"); status != 0 {
		t.Fatalf("hanse gen: %d %s%s", status, out, errs)
	}
	d := p.dev(dir, "--no-identity")

	var lines []string
	for _, m := range guideCommand.FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(m[1]) {
			if strings.HasPrefix(line, "hanse events ") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	if len(lines) < 10 {
		t.Fatalf("the page has the commands %q: is the expression of this test right?", lines)
	}
	shown := make(map[string]string)
	for _, line := range lines {
		if strings.HasPrefix(line, "hanse events dead") {
			p.await("there is a dead letter", func() bool { return strings.Contains(d.must("events", "dead", "ls"), "orders.placed") })
		}
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir, cmd.Env = dir, p.env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		words, _, _ := strings.Cut(line, " #")
		shown[strings.TrimSpace(words)] = string(out)
	}
	for line, want := range map[string]string{
		"hanse events ls":                       `orders\.placed +0 +0 B +0 +mailer by key +0 +0 +1`,
		"hanse events tail orders.placed -n 20": `(?s)"sequence":1,.*"data":{"orderId":"4711","email":"a@example.com"}}.*"sequence":2,`,
		"hanse events tail orders.placed --from 1h --where email~@example.com":                    `^{"sequence":1,[^\n]*\n$`,
		"hanse events dead ls orders.placed":                                                      `1 +\S+ +4712 +mailer +1 +\S+ +an order without an address`,
		"hanse events dead redeliver orders.placed 1":                                             `^1 dead letter of orders.placed redelivered`,
		"hanse events dead drop orders.placed --all --yes":                                        `1 dead letter of orders.placed dropped`,
		"hanse events replay orders.placed --group mailer --from 15m --dry-run":                   `^2 events of orders.placed: #1 to #2`,
		"hanse events replay orders.placed --group mailer --from 15m --where order_id=4711 --yes": `1 event of orders.placed redelivered to mailer`,
	} {
		if got, ok := shown[line]; !ok || !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s printed\n%s\nwant %s", line, got, want)
		}
	}
}
