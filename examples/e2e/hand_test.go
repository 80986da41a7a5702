//go:build unix

package e2e_test

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestByHand starts the shop as the README does, without hanse dev: in one process, and with a part of it in another. Its events need a
// backplane, here that of hanse hub; without one it ends, and says what to do.
func TestByHand(t *testing.T) {
	bin := filepath.Join(home, "bin", "kontor")
	if out, err := exec.Command("go", "build", "-o", bin, "../shop").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	alone := exec.Command(bin)
	alone.Dir = t.TempDir()
	out, err := alone.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "hanse hub") || !strings.Contains(string(out), "--backplane") || strings.Contains(string(out), "panic") {
		t.Fatalf("without a backplane: %v\n%s", err, out)
	}

	hub := newHub(t)
	hub.start()
	env := map[string]string{"HANSE_BACKPLANE": hub.url(), "HANSE_SYSTEM": "hand", "SHOP_DATA": t.TempDir(), "HANSE_ADDR": quietAddress(t), "HANSE_LOG_LEVEL": "warn"}
	run(t, bin, env)
	s := &system{t: t}
	v := visit(t, "http://"+env["HANSE_ADDR"])
	shows := func(path string) bool {
		resp, err := v.client.Get(v.base.String() + path)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	s.await(t, "the shop is open", func() bool { return shows("/goods/all") })
	letter(t, s, v, buy(t, v))

	// Others share the work, and the files.
	env["HANSE_ADDR"] = "127.0.0.1:0"
	parts := []*program{run(t, bin, env, "--services=orders,stock,loyalty"), run(t, bin, env, "--services=email,cart")}
	for range 5 {
		order := buy(t, v)
		letter(t, s, v, order)
		points(t, s, v, order)
	}
	for _, p := range parts {
		select {
		case <-p.exited:
			t.Errorf("a part has ended:\n%s", p.out.String())
		case <-time.After(time.Millisecond):
		}
	}
	if n := strings.Count(v.open("/orders").body, `<a href="/orders/`); n != 6 {
		t.Errorf("%d orders are listed, want 6", n)
	}
}
