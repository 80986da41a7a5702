//go:build unix

package e2e_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"
)

// chaos selects the long form of TestChaos.
var chaos = os.Getenv("HANSE_E2E") == "chaos"

// faults are what TestChaos does to the shop.
var faults = []struct {
	name  string
	short bool // a part of the short form
	do    func(t *testing.T, s *system, v *verdict)
}{
	{"one of three instances is killed, every 2 s", false, chaosKill},
	{"orders, email, stock and loyalty are killed, again and again", false, chaosPlaced},
	{"one of three instances is stopped (SIGSTOP)", true, chaosFreeze},
	{"the only instance is stopped for 10 s", false, chaosDown},
	{"one of three instances answers 100x slower", false, chaosSlow},
	{"one of three instances fails 30 % of its calls", false, chaosFailing},
	{"every service is restarted, twice", false, chaosRolling},
	{"certificates are renewed every 2 s", false, chaosRotation},
	{"a service gets 3x and 10x what it can do", false, chaosOverload},
	{"the registry (etcd) is killed for 30 s, comes back, is wiped", false, chaosEtcd},
	{"the disk of the local registry is full", true, chaosDisk},
	{"a process may open no more files", true, chaosDescriptors},
	{"the clock is set by hours, to and fro", false, chaosClock},
}

// verdict is a row of the table.
type verdict struct {
	t      *testing.T
	fault  string
	claims []claim
}

// claim is what must hold, what was measured, and whether that is so.
type claim struct {
	must, saw string
	holds     bool
	skipped   bool
}

// hold states what must be and what was measured.
func (v *verdict) hold(ok bool, must, saw string, args ...any) {
	v.t.Helper()
	saw = fmt.Sprintf(saw, args...)
	v.claims = append(v.claims, claim{must: must, saw: saw, holds: ok})
	if !ok {
		v.t.Errorf("must hold: %s; measured: %s", must, saw)
	}
}

// skip says why the fault was not tried here.
func (v *verdict) skip(why string) {
	v.t.Helper()
	v.claims = append(v.claims, claim{saw: why, skipped: true})
	v.t.Skip(why)
}

// TestChaos does to the shop what happens to systems, under load, and prints what became of the calls.
func TestChaos(t *testing.T) {
	if full && !chaos {
		t.Skip("make chaos runs it")
	}
	// Certificates are renewed every 2 s all the while.
	t.Setenv("HANSE_ALLOW_FAULTS", "1")
	s := dev(t, "--certificate-life", "6s")
	var all table
	for _, f := range faults {
		if chaos || f.short {
			all.try(t, f.name, func(t *testing.T, v *verdict) { f.do(t, s, v) })
		}
	}
	all.print(t)
}

// table is what became of faults.
type table []*verdict

// try makes a row, by a test of its own.
func (all *table) try(t *testing.T, fault string, do func(*testing.T, *verdict)) {
	v := &verdict{fault: fault}
	*all = append(*all, v)
	t.Run(strings.ReplaceAll(fault, " ", "-"), func(t *testing.T) {
		v.t = t
		do(t, v)
	})
}

// print shows the rows.
func (all table) print(t *testing.T) {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FAULT\tMUST HOLD\tMEASURED\t")
	for _, v := range all {
		name := v.fault
		for _, c := range v.claims {
			mark := "holds"
			switch {
			case c.skipped:
				mark = "not tried"
			case !c.holds:
				mark = "DOES NOT HOLD"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", name, c.must, c.saw, mark)
			name = ""
		}
	}
	w.Flush()
	t.Logf("machine load %s\n%s", machineLoad(), &text)
}

// probeRate is how many calls a second the catalog gets beside the visitors.
const probeRate = 100

// spell is how long each state is looked at.
func spell() time.Duration {
	if chaos {
		return 10 * time.Second
	}
	return 4 * time.Second
}

// wait lets the load go on for a while.
func wait(d time.Duration) { <-time.After(d) }

// catalogs runs n instances of the catalog while f runs.
func catalogs(t *testing.T, s *system, n int, f func()) {
	t.Helper()
	s.hanse(t, "scale", fmt.Sprint("catalog=", n))
	s.await(t, "the catalogs run", func() bool { return len(s.ready(t, "catalog")) == n })
	f()
	s.await(t, "the catalogs run again", func() bool { return len(s.ready(t, "catalog")) == n })
	s.hanse(t, "scale", "catalog=1")
	s.allReady(t)
}

// oldest is the instance that has run longest.
func oldest(list []instance) instance {
	return slices.MinFunc(list, func(a, b instance) int { return a.Started.Compare(b.Started) })
}

func signal(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

// chaosKill kills one of three catalogs every 2 s.
func chaosKill(t *testing.T, s *system, v *verdict) {
	catalogs(t, s, 3, func() {
		tr, p := begin(t), startProbe(t, probeRate, 5*time.Second)
		tr.flowing(s, uint64(rate()))
		every := time.NewTicker(2 * time.Second)
		defer every.Stop()
		var kills []time.Time
		dead := 0
		for range 20 {
			s.await(t, "three catalogs run", func() bool {
				list := s.ready(t, "catalog")
				return len(list) == 3 && oldest(list).PID != dead && lives(oldest(list).PID)
			})
			dead = oldest(s.ready(t, "catalog")).PID
			kills = append(kills, time.Now())
			signal(t, dead, syscall.SIGKILL)
			<-every.C
		}
		calls, report := p.end(), tr.end()
		failed, err := calls.failed()
		v.hold(failed == 0 && report.FailedSafe() == 0, "no failed call of a safe method", "%d of %d failed (%v)", failed+int(report.FailedSafe()), len(calls)+int(report.Sent), err)
		v.hold(report.Failed == 0, "others fail only if in flight on the dead one", "%d of %d failed, %d kills", report.Failed, report.Sent, len(kills))
		var worst time.Duration
		for _, at := range kills {
			worst = max(worst, p.between(at.Add(-time.Second), at.Add(time.Second)).latency(1))
		}
		v.hold(worst < time.Second, "traffic moves within 1 s", "the slowest call around a kill took %v", worst.Round(time.Millisecond))
	})
}

// chaosFreeze stops one of three catalogs, as a machine does that hangs: its connections stay.
func chaosFreeze(t *testing.T, s *system, v *verdict) {
	catalogs(t, s, 3, func() {
		p := startProbe(t, probeRate, 5*time.Second)
		wait(spell())
		victim := oldest(s.ready(t, "catalog"))
		began := time.Now()
		signal(t, victim.PID, syscall.SIGSTOP)
		wait(3*time.Second + spell())
		signal(t, victim.PID, syscall.SIGCONT)
		calls := p.end()
		normal := p.between(calls[0].due.Add(spell()/4), began)
		after := p.between(began.Add(3*time.Second), began.Add(3*time.Second+spell()))
		bound := 2*normal.latency(0.99) + 20*time.Millisecond // a scheduler's hiccup is no fault
		v.hold(after.latency(0.99) < bound, "p99 under 2x normal after 3 s", "%v before, %v after (bound %v)",
			normal.latency(0.99).Round(100*time.Microsecond), after.latency(0.99).Round(100*time.Microsecond), bound.Round(100*time.Microsecond))
		failed, err := after.failed()
		v.hold(failed*100 <= len(after), "at most 1 % of the calls are lost to trials of it", "%d of %d failed (%v)", failed, len(after), err)
	})
}

// chaosSlow delays the answers of one of three catalogs.
func chaosSlow(t *testing.T, s *system, v *verdict) {
	catalogs(t, s, 3, func() {
		p := startProbe(t, probeRate, 5*time.Second)
		wait(spell())
		normal := p.between(p.began.Add(spell()/4), time.Now())
		delay := max(100*normal.latency(0.5), 200*time.Millisecond)
		s.hanse(t, "chaos", "catalog", "--delay", delay.String(), "--instance", oldest(s.ready(t, "catalog")).Instance)
		began := time.Now()
		wait(3*time.Second + spell())
		s.hanse(t, "chaos", "--stop")
		p.end()
		after := p.between(began.Add(3*time.Second), began.Add(3*time.Second+spell()))
		bound := 2*normal.latency(0.99) + 20*time.Millisecond
		v.hold(after.latency(0.99) < bound, "p99 under 2x normal after 3 s", "%v before, %v after (bound %v), delayed by %v",
			normal.latency(0.99).Round(100*time.Microsecond), after.latency(0.99).Round(100*time.Microsecond), bound.Round(100*time.Microsecond), delay.Round(time.Millisecond))
		failed, err := after.failed()
		v.hold(failed == 0, "no failed call", "%d of %d failed (%v)", failed, len(after), err)
	})
}

// chaosFailing lets one of three catalogs answer Unavailable to some calls.
func chaosFailing(t *testing.T, s *system, v *verdict) {
	catalogs(t, s, 3, func() {
		p := startProbe(t, probeRate, 5*time.Second)
		wait(3 * time.Second)
		victim := oldest(s.ready(t, "catalog")).Instance
		s.hanse(t, "chaos", "catalog", "--error", "unavailable", "--percent", "30", "--instance", victim)
		began := time.Now()
		wait(2*spell() + 2*time.Second)
		s.hanse(t, "chaos", "--stop")
		p.end()
		all := p.between(began, began.Add(2*spell()+2*time.Second))
		failed, err := all.failed()
		v.hold(failed*1000 < len(all), "error rate of safe methods under 0.1 %", "%d of %d failed (%v)", failed, len(all), err)
		var last time.Duration // the first ejection ends after 5 s
		for _, c := range p.between(began, began.Add(5*time.Second)) {
			if c.instance == victim {
				last = max(last, c.due.Sub(began))
			}
		}
		v.hold(last < 2*time.Second, "ejected within 2 s", "the last call went there after %v", last.Round(10*time.Millisecond))
	})
}

// chaosDown stops the only catalog: callers must not make it worse.
func chaosDown(t *testing.T, s *system, v *verdict) {
	p := startProbe(t, probeRate, 500*time.Millisecond)
	wait(3 * time.Second)
	pid := s.ready(t, "catalog")[0].PID
	signal(t, pid, syscall.SIGSTOP)
	began := time.Now()
	wait(10 * time.Second)
	signal(t, pid, syscall.SIGCONT)
	ended := time.Now()
	wait(5 * time.Second)
	p.end()
	down := p.between(began, ended)
	ratio := float64(down.attempts()) / float64(len(down))
	v.hold(ratio <= 1.2, "amplification at most 1.2", "%d attempts of %d calls (%.2f)", down.attempts(), len(down), ratio)
	back := p.between(ended.Add(3*time.Second), ended.Add(5*time.Second))
	failed, err := back.failed()
	v.hold(failed == 0, "all is well 3 s later", "%d of %d failed (%v)", failed, len(back), err)
}

// chaosRotation lets visitors come for a minute.
func chaosRotation(t *testing.T, s *system, v *verdict) {
	tr, pages, p := begin(t), read(t, s, 10), startProbe(t, probeRate, 5*time.Second)
	wait(time.Minute)
	calls := p.end()
	pages.end()
	report := tr.end()
	failed, err := calls.failed()
	v.hold(failed == 0 && report.Failed == 0, "no failed call", "%d of %d failed (%v)", failed+int(report.Failed), len(calls)+int(report.Sent), err)
}

// chaosRolling restarts every service twice, one instance each.
func chaosRolling(t *testing.T, s *system, v *verdict) {
	tr, pages := begin(t), read(t, s, 10)
	tr.flowing(s, uint64(rate()))
	for range 2 {
		for _, name := range services {
			s.hanse(t, "restart", name)
		}
	}
	tr.flowing(s, uint64(rate()))
	pages.end()
	report := tr.end()
	v.hold(report.Failed == 0, "no failed call", "%d of %d failed, %d restarts", report.Failed, report.Sent, 2*len(services))
	s.allReady(t)
}
