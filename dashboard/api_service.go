package dashboard

import (
	"net/http"
	"net/url"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
)

// adminPages are what instances tell of themselves at their admin listener, by the name that the page knows.
var adminPages = map[string]string{
	"config":     "/debug/config",
	"resilience": "/debug/resilience",
	"log-level":  "/debug/log",
}

// serviceAPI is what the page of one service shows.
func (s *Server) serviceAPI(a api) {
	a.get("services/{name}", func(r *http.Request) (any, error) {
		w, err := window(r, 5*time.Minute)
		if err != nil {
			return nil, err
		}
		if s.Collector == nil {
			return nil, collector.ErrNotFound
		}
		return s.Collector.Service(r.Context(), r.PathValue("name"), w)
	})
	a.get("services/{name}/logs", func(r *http.Request) (any, error) {
		limit, err := number(r, "limit", 20, 1, 500)
		if err != nil {
			return nil, err
		}
		if s.Collector == nil {
			return collector.LogPage{Logs: []collector.Log{}}, nil
		}
		return s.Collector.Logs(r.Context(), collector.LogQuery{Services: []string{r.PathValue("name")}, Limit: limit})
	})
	type answer struct {
		Instances []told `json:"instances"`
	}
	for name, path := range adminPages {
		a.get("services/{name}/"+name, func(r *http.Request) (any, error) {
			list, err := s.askAll(r, r.PathValue("name"), askAdmin, http.MethodGet, path, nil)
			return answer{list}, err
		})
	}
	a.get("services/{name}/health", func(r *http.Request) (any, error) {
		list, err := s.askAll(r, r.PathValue("name"), askHealth, http.MethodGet, "/readyz", nil)
		return answer{list}, err
	})
	a.post("services/{name}/log-level", func(r *http.Request) (any, error) {
		order, err := body[struct {
			Level string `json:"level"`
		}](r)
		if err != nil {
			return nil, err
		}
		if order.Level == "" {
			return nil, bad("name one, such as debug, or default", "no level was named")
		}
		list, err := s.askAll(r, r.PathValue("name"), askAdmin, http.MethodPost, adminPages["log-level"], url.Values{"level": {order.Level}})
		return answer{list}, err
	})
}
