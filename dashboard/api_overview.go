package dashboard

import (
	"net/http"
	"slices"
	"time"

	"github.com/hanse-go/hanse/telemetry/collector"
)

// overviewAPI is what the overview shows: who calls whom, the services' numbers, and what is wrong.
func (s *Server) overviewAPI(a api) {
	a.get("map", func(r *http.Request) (any, error) {
		w, err := window(r, 5*time.Minute)
		if err != nil {
			return nil, err
		}
		if s.Collector == nil {
			return collector.Map{Window: w, Nodes: []collector.Node{}, Edges: []collector.Edge{}}, nil
		}
		return s.Collector.Map(r.Context(), w)
	})
	a.get("services", func(r *http.Request) (any, error) {
		w, err := window(r, 5*time.Minute)
		if err != nil {
			return nil, err
		}
		list := []collector.ServiceSummary{}
		if s.Collector != nil {
			if list, err = s.Collector.Services(r.Context(), w); err != nil {
				return nil, err
			}
		}
		return struct {
			Services []collector.ServiceSummary `json:"services"`
		}{list}, nil
	})
	a.get("problems", func(r *http.Request) (any, error) {
		list := []collector.Problem{}
		if s.Collector != nil {
			var err error
			if list, err = s.Collector.Problems(r.Context()); err != nil {
				return nil, err
			}
		}
		missing, err := s.missing(r.Context())
		if err != nil {
			return nil, err
		}
		unwell, err := s.unwell(r.Context())
		if err != nil {
			return nil, err
		}
		list = slices.Concat(unwell, missing, list) // the reasons of others first
		return struct {
			Problems []collector.Problem `json:"problems"`
		}{list}, nil
	})
	a.get("stats", func(*http.Request) (any, error) {
		if s.Collector == nil {
			return collector.Stats{}, nil
		}
		return s.Collector.Stats(), nil
	})
}
