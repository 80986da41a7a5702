package dashboard_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/dashboard"
)

// TestLogsInput holds what the API of logs refuses, and that it says why.
func TestLogsInput(t *testing.T) {
	c, base := in(t, &dashboard.Server{System: newSystem()})
	id := strings.Repeat("0123456789abcdef", 2)
	for _, tt := range []struct {
		path string
		code int
		want string // in the answer
	}{
		{"logs", http.StatusOK, `"logs":[]`},
		{"logs?q=level:warn+-timeout&service=cart,payment&level=warn&window=5m&limit=10000&trace=" + id, http.StatusOK, `"logs":[]`},
		{"logs?q=sevice:cart", http.StatusBadRequest, `column 1: no field sevice: did you mean service?`},
		{"logs?q=%22open", http.StatusBadRequest, `no closing`},
		{"logs?level=wran", http.StatusBadRequest, `did you mean warn?`},
		{"logs?trace=xyz", http.StatusBadRequest, `no ID of a trace`},
		{"logs?window=long", http.StatusBadRequest, `window`},
		{"logs?limit=10001", http.StatusBadRequest, `limit`},
	} {
		res, body := ask(t, c, "GET", base+"/api/"+tt.path, "")
		if res.StatusCode != tt.code || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %s; want %d with %s", tt.path, res.StatusCode, body, tt.code, tt.want)
		}
	}
}
