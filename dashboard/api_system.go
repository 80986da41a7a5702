package dashboard

import (
	"net/http"
	"slices"
	"time"

	"github.com/hanse-go/hanse/store"
)

// actionTime bounds how long an action may take: a start may have to build.
const actionTime = 5 * time.Minute

// systemAPI tells what runs, and does things to it.
func (s *Server) systemAPI(a api) {
	a.get("system", func(r *http.Request) (any, error) {
		st, err := s.state(r)
		if err != nil {
			return nil, err
		}
		return struct {
			*State
			Pages []string `json:"pages"`
		}{s.withHealth(st), s.pages()}, nil
	})
	a.post("system/do", func(r *http.Request) (any, error) {
		act, err := body[Action](r)
		if err != nil {
			return nil, err
		}
		st, err := s.state(r)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(st.Services, func(svc Service) bool { return svc.Name == act.Service })
		if i < 0 {
			return nil, missing("", "there is no service %q", act.Service)
		}
		if !slices.Contains(st.Services[i].Actions, act.Action) {
			return nil, bad("", "%s cannot be done to %s now", act.Action, act.Service)
		}
		if act.Action == Scale && (act.Replicas < 0 || act.Replicas > 100) {
			return nil, bad("ask for 0 to 100", "%d instances are not possible here", act.Replicas)
		}
		ctx, cancel := within(r, actionTime)
		defer cancel()
		return struct{}{}, s.System.Do(ctx, act)
	})
}

// state is the system's, or that of none.
func (s *Server) state(r *http.Request) (*State, error) {
	if s.System == nil {
		return &State{Kind: KindRegistry, ReadOnly: true, Ready: true, Services: []Service{}, Problems: []string{}}, nil
	}
	return s.System.State(r.Context())
}

// pages names what the page shows beyond the system itself: there is something behind it.
func (s *Server) pages() []string {
	pages := []string{}
	if s.Collector != nil {
		pages = append(pages, "traces", "logs", "metrics")
	}
	if s.Conn != nil {
		pages = append(pages, "console")
	}
	if s.Events != nil {
		pages = append(pages, "events")
	}
	if _, ok := s.Store.(store.Admin); ok {
		pages = append(pages, "store")
	}
	return pages
}
