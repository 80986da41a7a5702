package portowner_test

import (
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/internal/portowner"
)

func TestDescribe(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		lis, err := net.Listen("tcp", addr)
		if err != nil {
			t.Logf("%s: %v", addr, err)
			continue
		}
		port := lis.Addr().(*net.TCPAddr).Port
		got := portowner.Describe(port)
		lis.Close()
		if runtime.GOOS != "linux" {
			if !strings.Contains(got, strconv.Itoa(port)) {
				t.Errorf("%s: %q does not say how to find port %d", addr, got, port)
			}
			continue
		}
		if want := "process " + strconv.Itoa(os.Getpid()) + " ("; !strings.HasPrefix(got, want) || !strings.Contains(got, "portowner.test") {
			t.Errorf("%s: %q, want %q and the command", addr, got, want)
		}
		if got := portowner.Describe(port); !strings.HasPrefix(got, "another process, which `") {
			t.Errorf("%s: after its end: %q", addr, got)
		}
	}
}
