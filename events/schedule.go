package events

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Schedule says when a job is due. Make one with [Interval] or [Cron]; it is a value, and the zero one is a mistake.
type Schedule struct {
	every time.Duration
	cron  *cron
	text  string         // of cron, as it was written
	zone  *time.Location // nil is UTC
	err   error
}

// shortest is the shortest interval.
const shortest = time.Second

// Interval has a job due each time that a multiple of d has passed since a Monday at midnight UTC long ago: 5 * time.Minute is due at :00, :05, :10
// and so on, 24 hours at midnight. So all instances agree, whenever they were started. The least is 1 s.
func Interval(d time.Duration) Schedule {
	s := Schedule{every: d}
	if d < shortest {
		s.err = fmt.Errorf("Interval(%v): at least %v is needed", d, shortest)
	}
	return s
}

// Cron has a job due as a line of crontab says: five fields, which are the minute (0-59), the hour (0-23), the day of the month (1-31), the month
// (1-12 or jan-dec) and the day of the week (0-7 or sun-sat; 0 and 7 are Sunday). A field is *, a number or name, a range such as mon-fri, * or
// a range with a step, such as */5 or 9-17/2, or a list of such, with commas. When neither day field begins with *, a day counts that either of
// them names. @yearly, @monthly, @weekly, @daily and @hourly are known, too, and "@every 5m" is [Interval].
//
// The clock is UTC, or that of [Schedule.In]; text that comes from a configuration may begin with CRON_TZ=Europe/Berlin. Where clocks are
// changed, a job that is due in all hours goes by the time that passes: nothing is due in an hour that is skipped, and one that comes twice is
// like any two. Any other job goes by what clocks show: what is skipped is due at the moment of the change, and what comes twice is due
// the first time only. So a job of 02:30 runs once on each day.
func Cron(text string) Schedule {
	line, zone := text, ""
	first, rest, _ := strings.Cut(strings.TrimLeft(text, " "), " ")
	for _, prefix := range []string{"CRON_TZ=", "TZ="} {
		if name, ok := strings.CutPrefix(first, prefix); ok {
			line, zone = strings.Repeat(" ", len(text)-len(rest))+rest, name // columns are those of text
		}
	}
	s := Schedule{text: strings.Join(strings.Fields(line), " ")}
	if every, ok := strings.CutPrefix(s.text, "@every "); ok {
		d, err := time.ParseDuration(every)
		if s = Interval(d); err != nil {
			s.err = err
		}
	} else {
		s.cron, s.err = parseCron(line)
	}
	if s.err != nil {
		s.err = fmt.Errorf("Cron(%q): %w", text, s.err)
	}
	if zone != "" {
		s = s.In(zone)
	}
	return s
}

// In has a schedule of [Cron] go by the clocks of a place, such as Europe/Berlin.
func (s Schedule) In(zone string) Schedule {
	var err error
	switch {
	case s.err != nil:
	case s.cron == nil:
		err = errors.New("an interval has no time zone: use Cron")
	case zone == "" || zone == "Local":
		err = errors.New("name a place, such as Europe/Berlin, so that it is the same on all machines")
	default:
		if s.zone, err = time.LoadLocation(zone); err != nil {
			err = fmt.Errorf("%w; where there is no time zone database import _ \"time/tzdata\"", err)
		}
	}
	if err != nil {
		s.err = fmt.Errorf("In(%q): %w", zone, err)
	}
	return s
}

// Err says what is wrong with the schedule, nil when nothing is. A job with one that is wrong is an error of the start.
func (s Schedule) Err() error {
	switch {
	case s.err != nil:
		return s.err
	case s.cron == nil && s.every == 0:
		return errors.New("the schedule is empty: use Interval or Cron")
	case s.cron != nil && s.Next(time.Now()).IsZero():
		return fmt.Errorf("Cron(%q): it is never due, for no month has such a day", s.text)
	}
	return nil
}

// String returns the schedule as [Cron] takes it.
func (s Schedule) String() string {
	switch {
	case s.cron == nil:
		return "@every " + s.every.String()
	case s.location() == time.UTC:
		return s.text
	}
	return "CRON_TZ=" + s.zone.String() + " " + s.text
}

func (s Schedule) location() *time.Location {
	if s.zone == nil {
		return time.UTC
	}
	return s.zone
}

// Next returns when it is due next, after a time; zero when that is never.
func (s Schedule) Next(after time.Time) time.Time {
	switch {
	case s.err != nil:
		return time.Time{}
	case s.cron != nil:
		return s.cron.next(after.In(s.location()))
	case s.every > 0:
		return after.Truncate(s.every).Add(s.every).In(time.UTC)
	}
	return time.Time{}
}

// latest returns the last time at or before now when it was due, which it was at some time after since.
func (s Schedule) latest(since, now time.Time) time.Time {
	for now.Sub(since) > shortest/2 { // it is due after since, and not after now
		half := since.Add(now.Sub(since) / 2)
		if next := s.Next(half); next.IsZero() || next.After(now) {
			now = half
		} else {
			since = half
		}
	}
	return s.Next(since)
}
