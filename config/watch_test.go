package config_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/config"
)

type live struct {
	Max   int `default:"1"`
	Token config.Secret
	Names []string
}

func (l live) Validate() error {
	if l.Max == 99 {
		panic("no 99")
	}
	if l.Max > 100 {
		return errors.New("max is over 100")
	}
	return nil
}

// following runs test in a bubble with a loader that follows shop.yaml.
func following(t *testing.T, content string, test func(t *testing.T, l *config.Loader, log *bytes.Buffer)) {
	l := loader(t, content, map[string]string{"CART_TOKEN": "t"}, nil)
	var log bytes.Buffer
	l.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		test(t, l, &log)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// change writes the file and waits until it must have been seen.
func change(t *testing.T, content string) {
	t.Helper()
	write(t, "shop.yaml", content)
	time.Sleep(1100 * time.Millisecond) // of the bubble's time
	synctest.Wait()
}

func TestWatch(t *testing.T) {
	following(t, "cart: {max: 5}\n", func(t *testing.T, l *config.Loader, log *bytes.Buffer) {
		var got []live
		if err := config.Watch(l.For("cart"), func(v live) { got = append(got, v) }); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0].Max != 5 || got[0].Token.Reveal() != "t" {
			t.Fatalf("first: %+v", got)
		}
		change(t, "cart: {max: 5}\n")
		if log.Len() > 0 {
			t.Errorf("without a change: %s", log)
		}
		change(t, "cart: {max: 6, names: [a]}\n")
		if len(got) != 2 || got[1].Max != 6 || got[1].Token.Reveal() != "t" {
			t.Fatalf("after a change: %+v", got)
		}
		if !strings.Contains(log.String(), `changed="[cart.max cart.names]"`) {
			t.Errorf("log: %s", log)
		}
		if s, _ := l.Source("cart.names"); s.Column != 23 {
			t.Errorf("source = %v", s)
		}
		change(t, "# a comment alone changes nothing\ncart: {max: 6, names: [a]}\n")
		if len(got) != 2 {
			t.Errorf("told without a change: %+v", got[2:])
		}
	})
}

func TestWatchRefusesABadChange(t *testing.T) {
	for name, bad := range map[string]string{
		"syntax":     "cart: {max: 5\n",
		"validation": "cart: {max: 101}\n",
		"type":       "cart: {max: x}\n",
		"unknown":    "cart: {maxx: 3}\n",
		"other":      "cart: {max: 7}\norders: {max: x}\n",
	} {
		t.Run(name, func(t *testing.T) {
			following(t, "cart: {max: 5}\n", func(t *testing.T, l *config.Loader, log *bytes.Buffer) {
				var got []live
				var orders live
				if err := errors.Join(
					config.Watch(l.For("cart"), func(v live) { got = append(got, v) }),
					l.Load("orders", &orders),
				); err != nil {
					t.Fatal(err)
				}
				change(t, bad)
				change(t, bad)
				if len(got) != 1 {
					t.Fatalf("a bad change was applied: %+v", got)
				}
				if n := strings.Count(log.String(), "refused"); n != 1 {
					t.Errorf("logged %d times:\n%s", n, log)
				}
				change(t, "cart: {max: 8}\n")
				if len(got) != 2 || got[1].Max != 8 {
					t.Errorf("after the repair: %+v", got)
				}
			})
		})
	}
}

func TestWatchSurvivesPanics(t *testing.T) {
	following(t, "cart: {max: 5}\n", func(t *testing.T, l *config.Loader, log *bytes.Buffer) {
		var got, other []int
		if err := errors.Join(
			config.Watch(l.For("cart"), func(v live) {
				if v.Max == 6 {
					panic("no six")
				}
				got = append(got, v.Max)
			}),
			config.Watch(l.For("cart"), func(v live) { other = append(other, v.Max) }),
		); err != nil {
			t.Fatal(err)
		}
		change(t, "cart: {max: 6}\n")
		for _, part := range []string{"level=ERROR", `panic="no six"`, "section=cart", "shop.yaml", "watch_test.go"} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("the log does not have %s: %s", part, log)
			}
		}
		change(t, "cart: {max: 99}\n") // its Validate panics
		if !strings.Contains(log.String(), "refused") || !strings.Contains(log.String(), "no 99") {
			t.Errorf("log: %s", log)
		}
		change(t, "cart: {max: 5}\n")
		change(t, "cart: {max: 7}\n")
		if want := []int{5, 5, 7}; !slices.Equal(got, want) { // it may have done half of 6
			t.Errorf("got %v, want %v", got, want)
		}
		if want := []int{5, 6, 5, 7}; !slices.Equal(other, want) {
			t.Errorf("the other one got %v, want %v", other, want)
		}
	})
}

func TestWatchSurvivesALostFile(t *testing.T) {
	following(t, "cart: {max: 5}\n", func(t *testing.T, l *config.Loader, log *bytes.Buffer) {
		var got []live
		if err := config.Watch(l.For("cart"), func(v live) { got = append(got, v) }); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove("shop.yaml"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if len(got) != 1 || strings.Count(log.String(), "refused") != 1 {
			t.Errorf("got %+v, log %s", got, log)
		}
		change(t, "cart: {max: 5}\n") // back as it was
		change(t, "cart: {max: 6}\n")
		if len(got) != 2 || got[1].Max != 6 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestHalfWrittenFileIsNotTaken(t *testing.T) {
	following(t, "cart: {max: 5}\n", func(t *testing.T, l *config.Loader, log *bytes.Buffer) {
		var got []live
		if err := config.Watch(l.For("cart"), func(v live) { got = append(got, v) }); err != nil {
			t.Fatal(err)
		}
		for i := range 9 { // each read sees another content, as if a slow writer were at work
			write(t, "shop.yaml", strings.Repeat("# more\n", i)+"cart: {max: 98}\n")
			time.Sleep(500 * time.Millisecond)
			synctest.Wait()
		}
		if len(got) != 1 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestChangeOfWhatIsReadOnceIsLogged(t *testing.T) {
	following(t, "cart: {max: 5}\n", func(t *testing.T, l *config.Loader, log *bytes.Buffer) {
		var cfg live
		if err := l.Load("cart", &cfg); err != nil {
			t.Fatal(err)
		}
		change(t, "cart: {max: 6}\n")
		if cfg.Max != 5 || !strings.Contains(log.String(), "restart") || !strings.Contains(log.String(), "settings=[cart.max]") {
			t.Errorf("cfg = %+v, log: %s", cfg, log)
		}
	})
}

type fake struct{}

func (fake) Config(dst any) error { return json.Unmarshal([]byte("{}"), dst) }

func TestWatchMistakes(t *testing.T) {
	l := new(config.Loader)
	if err := config.Watch(l.For("cart"), func(int) {}); err == nil || err.Error() != "config: watch a struct, not int" {
		t.Error(err)
	}
	if err := config.Watch(fake{}, func(live) {}); err == nil || !strings.Contains(err.Error(), "did not reach Loader.Load") {
		t.Error(err)
	}
}

func TestRunWithoutFileEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := new(config.Loader).Run(ctx); err != nil {
		t.Error(err)
	}
}
