package dashboard_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/dashboard"
)

// TestTracesInput holds what the API of traces refuses, and that it says why.
func TestTracesInput(t *testing.T) {
	c, base := in(t, &dashboard.Server{System: newSystem()})
	id := strings.Repeat("0123456789abcdef", 2)
	for _, tt := range []struct {
		path string
		code int
		want string // in the answer
	}{
		{"traces", http.StatusOK, `"traces":[]`},
		{"traces?q=status:error+duration%3E10ms&service=cart&min=1ms&max=2s&errors=1&slowest=1&limit=2000", http.StatusOK, `"traces":[]`},
		{"traces?q=duration%3Esoon", http.StatusBadRequest, `column 10`},
		{"traces?min=fast", http.StatusBadRequest, `\"fast\" is no duration`},
		{"traces?max=-1s", http.StatusBadRequest, `no duration`},
		{"traces?limit=2001", http.StatusBadRequest, `limit`},
		{"traces?window=long", http.StatusBadRequest, `window`},
		{"traces/" + id, http.StatusNotFound, `older than what is kept`},
		{"traces/" + strings.ToUpper(id) + "/logs", http.StatusOK, `"logs":[]`},
		{"traces/" + id[1:], http.StatusBadRequest, `no ID of a trace`},
		{"traces/" + id[1:] + "x/logs", http.StatusBadRequest, `no ID of a trace`},
		{"attributes?prefix=rpc", http.StatusOK, `"keys":[]`},
		{"advice", http.StatusOK, `"findings":[]`},
		{"advice?limit=2001", http.StatusBadRequest, `limit`},
		{"attributes?limit=0", http.StatusBadRequest, `limit`},
	} {
		res, body := ask(t, c, "GET", base+"/api/"+tt.path, "")
		if res.StatusCode != tt.code || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %s; want %d with %s", tt.path, res.StatusCode, body, tt.code, tt.want)
		}
	}
}
