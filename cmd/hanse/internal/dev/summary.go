package dev

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hanse-go/hanse/cmd/hanse/internal/member"
	"github.com/hanse-go/hanse/cmd/hanse/internal/ui"
	"github.com/hanse-go/hanse/discovery"
)

// summary says what runs, where, and what to do with it.
func (s *supervisor) summary(ctx context.Context) {
	s.mu.Lock()
	s.ready = true
	s.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	s.settle()
	list, _ := s.board.Get()
	s.doors.update(list)
	table := ui.NewTable("", "SERVICE", "PROCESS", "LISTENS ON", "PAGE")
	ready, all, stopped := 0, 0, []string(nil)
	var broken []string
	for _, u := range s.snapshot() {
		s.mu.Lock()
		slots := slices.Clone(u.slots)
		s.mu.Unlock()
		if len(slots) == 0 {
			if u.base == nil {
				stopped = append(stopped, u.name)
			}
			continue
		}
		for _, sl := range slots {
			all++
			s.mu.Lock()
			c, f := sl.child, sl.failure
			s.mu.Unlock()
			if f != nil {
				table.Row(ui.Bad.Sprint("✗"), ui.Strong.Sprint(u.name), "", ui.Bad.Sprint(f.text()))
				broken = append(broken, u.name)
				continue
			}
			ready++
			s.rows(table, u, c, list)
		}
	}
	var b strings.Builder
	b.WriteString("\n")
	table.WriteTo(&b)
	b.WriteString("\n")
	elapsed := took(time.Since(s.began))
	if ready == all {
		fmt.Fprintf(&b, "%s %s\n", ui.Good.Sprint("✓"), ui.Strong.Sprint("ready in "+elapsed))
	} else {
		fmt.Fprintf(&b, "%s %s\n", ui.Warning.Sprint("!"), ui.Strong.Sprint(fmt.Sprintf("%d of %s ready after %s; not %s", ready, processes(all), elapsed, ui.List(slices.Compact(broken), "and"))))
	}
	if s.pageDoor != nil {
		fmt.Fprintf(&b, "  %s %s\n", ui.Faint.Sprint("dashboard:"), ui.Accent.Sprint(s.page.Link(s.pageDoor.Addr())))
	}
	if pages := s.doors.pages(); len(pages) > 0 && len(pages) <= 3 {
		fmt.Fprintf(&b, "  %s %s\n", ui.Faint.Sprint("open:"), ui.Accent.Sprint(strings.Join(pages, "  ")))
	}
	if s.frontDoor != nil {
		fmt.Fprintf(&b, "  %s %s%s\n", ui.Faint.Sprint("gateway:"), ui.Accent.Sprint("http://"+s.frontDoor.Addr().String()+"/docs"), ui.Faint.Sprint(", and there by gRPC, Connect, REST, WebSocket, /rpc, /mcp"))
	} else if at := s.docs(list); at != "" {
		fmt.Fprintf(&b, "  %s %s%s\n", ui.Faint.Sprint("methods:"), ui.Accent.Sprint(at), ui.Faint.Sprint(", and so at each address"))
	}
	if len(stopped) > 0 {
		fmt.Fprintf(&b, "  %s %s\n", ui.Faint.Sprint("on demand:"), ui.Accent.Sprint("hanse start "+strings.Join(stopped, "|")))
	}
	fmt.Fprintf(&b, "  %s %s\n\n", ui.Faint.Sprint("in another terminal:"), strings.Join([]string{ui.Accent.Sprint("hanse ps"), ui.Accent.Sprint("hanse logs"),
		ui.Accent.Sprint("hanse call"), ui.Accent.Sprint("hanse scale " + s.example() + "=2")}, ui.Faint.Sprint(", "))+ui.Faint.Sprint("   Ctrl-C here ends all"))
	s.screen.print(b.String())
	s.updatePins()
}

// docs returns the address of the page with the methods of a service, an example for all; "" when there is none.
func (s *supervisor) docs(list []discovery.Instance) string {
	example := s.example()
	for _, i := range list {
		if i.Service != example || len(i.Contracts) == 0 || i.Metadata[member.CommandLabel] != "" {
			continue
		}
		for _, e := range i.Endpoints {
			if addr, ok := strings.CutPrefix(e, "tcp://"); ok {
				return "http://" + addr + "/docs"
			}
		}
	}
	return ""
}

// rows adds the services of a process.
func (s *supervisor) rows(table *ui.Table, u *unit, c *child, list []discovery.Instance) {
	if len(u.services) == 0 {
		table.Row(ui.Good.Sprint("●"), ui.Strong.Sprint(u.name), fmt.Sprint(c.process.PID()))
		return
	}
	for _, service := range u.services {
		var where, page string
		for _, i := range list {
			if i.Service == service && i.PID == c.process.PID() {
				where = cmp.Or(i.Metadata[member.CommandLabel], Listens(i.Endpoints))
				if i.Metadata[httpKey] != "" {
					page = ui.Accent.Sprint(s.doors.url(service))
				}
			}
		}
		table.Row(ui.Good.Sprint("●"), ui.Strong.Sprint(service), fmt.Sprint(c.process.PID()), where, page)
	}
}

// Listens returns where an instance is reached from this machine and others, without schemes and without unix sockets, of which
// there is one beside each address.
func Listens(endpoints []string) string {
	var addrs []string
	for _, e := range endpoints {
		if addr, ok := strings.CutPrefix(e, "tcp://"); ok {
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) == 0 {
		return strings.Join(endpoints, " ")
	}
	return strings.Join(addrs, " ")
}

func processes(n int) string {
	if n == 1 {
		return "1 process"
	}
	return fmt.Sprintf("%d processes", n)
}

// example returns a service to show in an example: one that others call rather than people.
func (s *supervisor) example() string {
	example := "SERVICE"
	for _, u := range s.snapshot() {
		for _, service := range u.services {
			if s.doors.url(service) == "" {
				return service
			}
			example = service
		}
	}
	return example
}
