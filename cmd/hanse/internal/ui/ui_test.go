package ui_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNearest(t *testing.T) {
	services := []string{"cart", "catalog", "checkout", "currency", "orders", "payment"}
	tests := []struct {
		name       string
		candidates []string
		want       []string
	}{
		{"crt", services, []string{"cart"}},
		{"cartt", services, []string{"cart"}},
		{"acrt", services, []string{"cart"}},
		{"CATALOG", services, []string{"catalog"}},
		{"cat", services, []string{"catalog", "cart"}},
		{"order", services, []string{"orders"}},
		{"pay", services, []string{"payment"}},
		{"xyz", services, nil},
		{"", services, nil},
		{"cart", nil, nil},
		{"größe", []string{"grösse", "größer"}, []string{"größer", "grösse"}},
		{"a", []string{"b", "c", "d", "e"}, []string{"b", "c", "d"}},
		{"List", []string{"ListProducts", "ListOrders", "Get"}, []string{"ListOrders", "ListProducts"}},
		{"cart", []string{"cart", "cart"}, []string{"cart"}},
	}
	for _, tt := range tests {
		if got := ui.Nearest(tt.name, tt.candidates); !slices.Equal(got, tt.want) {
			t.Errorf("Nearest(%q, %q) = %q, want %q", tt.name, tt.candidates, got, tt.want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	tests := []struct {
		name       string
		candidates []string
		want       string
	}{
		{"crt", []string{"cart", "orders"}, "did you mean cart?"},
		{"cat", []string{"cart", "catalog"}, "did you mean catalog or cart?"},
		{"zzzz", []string{"orders", "cart", "cart"}, "there are cart and orders"},
		{"zzzz", []string{"cart"}, "there is cart"},
		{"zzzz", nil, ""},
		{"zzzz", strings.Fields("a1 b1 c1 d1 e1 f1 g1 h1 i1 j1 k1 l1 m1"), ""},
	}
	for _, tt := range tests {
		if got := ui.DidYouMean(tt.name, tt.candidates); got != tt.want {
			t.Errorf("DidYouMean(%q, %q) = %q, want %q", tt.name, tt.candidates, got, tt.want)
		}
	}
}

func TestTable(t *testing.T) {
	table := ui.NewTable("SERVICE", "STATE", "WHERE")
	table.Row("cart", ui.Good.Sprint("ready"), "größer")
	table.Row("catalog", "", "x")
	table.Row("orders", "starting")
	u, out, _ := files(t)
	if _, err := table.WriteTo(u.Out); err != nil {
		t.Fatal(err)
	}
	want := "SERVICE  STATE     WHERE\ncart     ready     größer\ncatalog            x\norders   starting\n"
	if got := out(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTableLeavesEmptyColumnsOut(t *testing.T) {
	table := ui.NewTable("SERVICE", "VERSION", "STATE", "WHERE")
	table.Row("cart", "", "ready")
	table.Row("orders", "", "starting", "")
	u, out, _ := files(t)
	if _, err := table.WriteTo(u.Out); err != nil {
		t.Fatal(err)
	}
	if got, want := out(), "SERVICE  STATE\ncart     ready\norders   starting\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTableRight(t *testing.T) {
	table := ui.NewTable("SERVICE", "VERSION", "CALLS", "STATE")
	table.Right("CALLS", "VERSION")
	table.Row("cart", "", ui.Bad.Sprint("9"), "ready")
	table.Row("orders", "", "1000")
	u, out, _ := files(t)
	if _, err := table.WriteTo(u.Out); err != nil {
		t.Fatal(err)
	}
	if got, want := out(), "SERVICE  CALLS  STATE\ncart         9  ready\norders    1000\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCrop(t *testing.T) {
	text := "first " + ui.Bad.Sprint("line") + "\nsecond\nthird\n"
	for _, tt := range []struct {
		columns, rows int
		want          string
	}{
		{80, 3, "first line\nsecond\nthird\n"},
		{8, 3, "first li\nsecond\nthird\n"},
		{80, 2, "first line\n… 2 more lines\n"},
		{80, 0, "… 3 more lines\n"},
	} {
		u, out, _ := files(t)
		u.Printf("%s", ui.Crop(text, tt.columns, tt.rows))
		if got := out(); got != tt.want {
			t.Errorf("%d, %d: %q, want %q", tt.columns, tt.rows, got, tt.want)
		}
	}
}

func TestFail(t *testing.T) {
	tests := []struct {
		err  error
		text string
		exit int
	}{
		{nil, "", ui.ExitOK},
		{errors.New("it broke"), "hanse: it broke\n", ui.ExitFailure},
		{ui.Errorf("no service %q", "crt").Then("did you mean %s?", "cart"), "hanse: no service \"crt\"; did you mean cart?\n", ui.ExitFailure},
		{ui.Usagef("wrong"), "hanse: wrong\n", ui.ExitUsage},
		{errors.Join(ui.Usagef("wrong").Then("do this")), "hanse: wrong; do this\n", ui.ExitUsage},
		{ui.Errorf("several").Then("choose:\n  a\n  b"), "hanse: several; choose:\n  a\n  b\n", ui.ExitFailure},
		{ui.Silent{Exit: 7}, "", 7},
	}
	for _, tt := range tests {
		u, _, errs := files(t)
		if exit := u.Fail(tt.err); exit != tt.exit || errs() != tt.text {
			t.Errorf("Fail(%v) = %d, shows %q; want %d, %q", tt.err, exit, errs(), tt.exit, tt.text)
		}
	}
	if err := ui.Errorf("reading: %w", fs.ErrNotExist); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the cause is lost")
	}
}

// TestProgress holds that short work is not mentioned, and long work once where lines cannot be redrawn.
func TestProgress(t *testing.T) {
	for _, tt := range []struct {
		takes    time.Duration
		terminal bool
		want     string
	}{
		{900 * time.Millisecond, false, ""},
		{900 * time.Millisecond, true, ""},
		{3 * time.Second, false, "building x …\n"},
		{1150 * time.Millisecond, true, "\r\x1b[K⠋ building x 1s\r\x1b[K⠙ building x 1s\r\x1b[K"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var b strings.Builder
			u := &ui.UI{Err: &b, Terminal: tt.terminal}
			p := u.Progress("working")
			p.Set("building %s …", "x") // as another program may put it
			time.Sleep(tt.takes)        // virtual
			p.Done()
			p.Done()
			if got := strings.NewReplacer("\x1b[2m", "", "\x1b[m", "", "\x1b[0m", "").Replace(b.String()); got != tt.want {
				t.Errorf("after %v: %q, want %q", tt.takes, got, tt.want)
			}
		})
	}
}

// TestColours holds what reaches a file: no colour, unless it is asked for and not forbidden.
func TestColours(t *testing.T) {
	for _, tt := range []struct {
		env  []string
		want bool
	}{
		{nil, false},
		{[]string{"TERM=xterm-256color"}, false},
		{[]string{"TERM=xterm", "CLICOLOR_FORCE=1"}, true},
		{[]string{"TERM=xterm", "CLICOLOR_FORCE=1", "NO_COLOR=please"}, false},
	} {
		u, out, _ := files(t, tt.env...)
		u.Printf("%s\n", ui.Bad.Sprint("red"))
		if got := out(); strings.Contains(got, "\x1b[") != tt.want || !strings.Contains(got, "red") {
			t.Errorf("%q: %q", tt.env, got)
		}
	}
}

func TestJSON(t *testing.T) {
	u, out, _ := files(t)
	if err := u.PrintJSON(map[string]any{"a": "<x> & y"}); err != nil {
		t.Fatal(err)
	}
	if got, want := out(), "{\n  \"a\": \"<x> & y\"\n}\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// files returns a UI on files, and what was written to them.
func files(t *testing.T, env ...string) (u *ui.UI, out, errs func() string) {
	t.Helper()
	dir := t.TempDir()
	open := func(name string) (*os.File, func() string) {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f, func() string {
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(f)
			if err != nil {
				t.Fatal(err)
			}
			return string(data)
		}
	}
	outFile, out := open("out")
	errFile, errs := open("err")
	inFile, _ := open("in")
	return ui.New(inFile, outFile, errFile, env), out, errs
}
