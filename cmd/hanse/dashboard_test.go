package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/hanse-go/hanse/dashboard"
)

// page is the dashboard of a hanse dev, as a program reads it.
type page struct {
	d     *devRun
	link  string
	base  string
	token string
}

// dashboard returns the dashboard, whose link hanse dev has printed.
func (d *devRun) dashboard() page {
	d.t.Helper()
	m := regexp.MustCompile(`(?m)^  dashboard: (http://\S+)$`).FindStringSubmatch(d.out.String())
	if m == nil {
		d.t.Fatalf("no dashboard was announced:\n%s", d.out.String())
	}
	u, err := url.Parse(m[1])
	if err != nil || u.Query().Get("token") == "" {
		d.t.Fatalf("the link %s, %v", m[1], err)
	}
	return page{d, m[1], "http://" + u.Host, u.Query().Get("token")}
}

// send sends a request as the page does.
func (p page) send(method, path, body string) (status int, text string) {
	p.d.t.Helper()
	req, err := http.NewRequestWithContext(p.d.t.Context(), method, p.base+path, strings.NewReader(body))
	if err != nil {
		p.d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Hanse-Dashboard", "1")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error() // hanse dev may be about to end
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		p.d.t.Fatal(err)
	}
	return res.StatusCode, string(all)
}

// state is what the page knows of the system.
func (p page) state() (st dashboard.State) {
	p.d.t.Helper()
	status, text := p.send("GET", "/api/system", "")
	if err := json.Unmarshal([]byte(text), &st); status != http.StatusOK || err != nil {
		p.d.t.Fatalf("the state: %d %s %v", status, text, err)
	}
	return st
}

// service is what it knows of one service.
func (p page) service(name string) dashboard.Service {
	p.d.t.Helper()
	for _, s := range p.state().Services {
		if s.Name == name {
			return s
		}
	}
	return dashboard.Service{}
}

// The dashboard shows what runs, stops and starts it, and is where it was in the next run.
func TestDevDashboard(t *testing.T) {
	p := newMachine(t)
	dir := p.system("greeter.txtar")
	d := p.dev(dir)
	page := d.dashboard()
	st := page.state()
	if st.Kind != dashboard.KindDev || !st.Ready || st.ReadOnly || st.Dir == "" || len(st.Services) == 0 {
		t.Errorf("the state is %+v", st)
	}
	svc := page.service("greeter")
	if len(svc.Instances) != 1 || svc.Want != 1 {
		t.Fatalf("the service is %+v", svc)
	}
	if i := svc.Instances[0]; i.State != "ready" || i.PID == 0 || i.Replica != 1 || i.Admin == "" || len(i.Endpoints) == 0 {
		t.Errorf("the instance is %+v", i)
	}
	// What answers other commands does so before there is a page, and takes nothing from it.
	for path, has := range map[string]string{"console/contracts?service=greeter": `"contracts":`, "events/topics": "[", "store/buckets": "["} {
		if status, text := page.send("GET", "/api/"+path, ""); status != http.StatusOK || !strings.Contains(text, has) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if status, text := page.send("POST", "/api/system/do", `{"action":"stop","service":"greeter"}`); status != http.StatusOK {
		t.Fatalf("stop: %d %s", status, text)
	}
	p.await("it stops", func() bool { return len(page.service("greeter").Instances) == 0 })
	if got := page.service("greeter").Actions; len(got) != 1 || got[0] != dashboard.Start {
		t.Errorf("what can be done to what does not run: %v", got)
	}
	if status, text := page.send("POST", "/api/system/do", `{"action":"start","service":"greeter"}`); status != http.StatusOK {
		t.Fatalf("start: %d %s", status, text)
	}
	p.await("it runs again", func() bool {
		s := page.service("greeter")
		return len(s.Instances) == 1 && s.Instances[0].State == "ready"
	})
	http.DefaultClient.CloseIdleConnections()
	d.interrupt()

	d = p.dev(dir)
	if again := d.dashboard(); again.link != page.link {
		t.Errorf("the link was %s, and is %s", page.link, again.link)
	}
	_, errs, status := p.hanse(p.system("mixed.txtar"), "dev", "--dashboard", strings.TrimPrefix(page.base, "http://"))
	if status != 1 || !strings.Contains(errs, "the dashboard cannot listen: ") || !strings.Contains(errs, "--dashboard off") {
		t.Errorf("at a port that is taken: status %d, %s", status, errs)
	}
	d.interrupt()
	d = p.dev(dir, "--dashboard", "off")
	if strings.Contains(d.out.String(), "dashboard:") {
		t.Errorf("there is a dashboard:\n%s", d.out.String())
	}
}
