package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// adminTime is how long one instance may take to answer a question about itself.
const adminTime = 3 * time.Second

// maxAdmin bounds an answer of an admin listener.
const maxAdmin = 16 << 20

// told is what one instance says of itself, or why it does not.
type told struct {
	Instance string          `json:"instance"`
	Replica  int             `json:"replica,omitempty"`
	Report   json.RawMessage `json:"report,omitempty"` // the first of its answer, which is about the service alone
	Error    string          `json:"error,omitempty"`
}

// question is what is asked of one admin listener: [askAdmin] or [askHealth].
type question func(ctx context.Context, admin, method, path string) (json.RawMessage, error)

// askAll puts a question about a service to all its instances at once, or gives them an order. They are those of the system, so that nobody
// can have the server ask anything else.
func (s *Server) askAll(r *http.Request, service string, ask question, method, path string, form url.Values) ([]told, error) {
	st, err := s.state(r)
	if err != nil {
		return nil, err
	}
	var instances []Instance
	found := false
	for _, svc := range st.Services {
		if svc.Name == service {
			instances, found = svc.Instances, true
		}
	}
	if !found {
		return nil, missing("", "there is no service %q", service)
	}
	q := url.Values{"service": {service}}
	for name, values := range form {
		q[name] = values
	}
	answers := make([]told, len(instances))
	var work sync.WaitGroup
	for n, i := range instances {
		work.Go(func() {
			answers[n] = told{Instance: i.ID, Replica: i.Replica}
			report, err := ask(r.Context(), i.Admin, method, path+"?"+q.Encode())
			if err != nil {
				answers[n].Error = err.Error()
				return
			}
			answers[n].Report = report
		})
	}
	work.Wait()
	return answers, nil
}

// askAdmin asks one admin listener, and returns the first of the reports that it answers.
func askAdmin(ctx context.Context, admin, method, path string) (json.RawMessage, error) {
	code, text, err := fetchAdmin(ctx, admin, method, path)
	if err != nil {
		return nil, err
	}
	if code != http.StatusOK {
		return nil, errors.New(strings.TrimSpace(string(text)))
	}
	var reports []json.RawMessage
	if err := json.Unmarshal(text, &reports); err != nil || len(reports) == 0 {
		return nil, errors.New("its admin listener answers with what nobody understands")
	}
	return reports[0], nil
}

// askHealth asks one admin listener whether what it is for takes calls, and returns its report, which is one of what is not well, too.
func askHealth(ctx context.Context, admin, method, path string) (json.RawMessage, error) {
	code, text, err := fetchAdmin(ctx, admin, method, path)
	switch {
	case err != nil:
		return nil, err
	case code != http.StatusOK && code != http.StatusServiceUnavailable:
		return nil, errors.New(strings.TrimSpace(string(text)))
	case !json.Valid(text):
		return nil, errors.New("its admin listener answers with what nobody understands")
	}
	return text, nil
}

// fetchAdmin returns the status and the text of an answer of an admin listener.
func fetchAdmin(ctx context.Context, admin, method, path string) (code int, text []byte, err error) {
	if admin == "" {
		return 0, nil, errors.New("it has no admin listener that others are told of (--admin-addr)")
	}
	ctx, cancel := context.WithTimeout(ctx, adminTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+admin+path, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Accept", "application/json")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // through no proxy
	res, err := client.Do(req)
	if err != nil {
		if what, ok := errors.AsType[*url.Error](err); ok {
			err = what.Err
		}
		return 0, nil, fmt.Errorf("its admin listener does not answer: %w", err)
	}
	defer res.Body.Close()
	if text, err = io.ReadAll(io.LimitReader(res.Body, maxAdmin)); err != nil {
		return 0, nil, fmt.Errorf("its admin listener does not answer: %w", err)
	}
	if res.StatusCode == http.StatusNotFound && strings.HasPrefix(string(text), "404 ") {
		return 0, nil, errors.New("it was built with a version of Hanse that does not know this")
	}
	return res.StatusCode, text, nil
}
