package dashboard

import (
	"net/http"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
)

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
}
