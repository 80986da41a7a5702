package events_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-go/hanse/events"
)

func TestScheduleNext(t *testing.T) {
	cron := events.Cron
	for _, c := range []struct {
		name     string
		schedule events.Schedule
		after    string
		want     string // one after the other
	}{
		{"interval", events.Interval(5 * time.Minute), "2026-03-01T12:03:04Z", "2026-03-01T12:05:00Z 2026-03-01T12:10:00Z"},
		{"interval, when it is due", events.Interval(5 * time.Minute), "2026-03-01T12:05:00Z", "2026-03-01T12:10:00Z"},
		{"a day", events.Interval(24 * time.Hour), "2026-03-01T12:05:00+05:00", "2026-03-02T00:00:00Z"},
		{"a week begins on Monday", events.Interval(7 * 24 * time.Hour), "2026-11-18T12:00:00Z", "2026-11-23T00:00:00Z 2026-11-30T00:00:00Z"},
		{"as text", cron("@every 90s"), "2026-03-01T12:00:00Z", "2026-03-01T12:01:30Z 2026-03-01T12:03:00Z"},

		{"every minute", cron("* * * * *"), "2026-12-31T23:58:59.9Z", "2026-12-31T23:59:00Z 2027-01-01T00:00:00Z"},
		{"steps", cron("*/25 8-12/2 * * *"), "2026-03-01T00:00:00Z", "2026-03-01T08:00:00Z 2026-03-01T08:25:00Z 2026-03-01T08:50:00Z 2026-03-01T10:00:00Z"},
		{"lists", cron("5,1-2 7 * * *"), "2026-03-01T07:00:00Z", "2026-03-01T07:01:00Z 2026-03-01T07:02:00Z 2026-03-01T07:05:00Z 2026-03-02T07:01:00Z"},
		{"names", cron("0 9 * Jan-mar MON"), "2026-03-24T00:00:00Z", "2026-03-30T09:00:00Z 2027-01-04T09:00:00Z"},
		{"Sunday is 7", cron("0 0 * * 7"), "2026-11-23T00:00:00Z", "2026-11-29T00:00:00Z"},
		{"Sunday is 0", cron("0 0 * * 0"), "2026-11-23T00:00:00Z", "2026-11-29T00:00:00Z"},
		{"up to Sunday", cron("0 0 * * sat-sun"), "2026-11-23T00:00:00Z", "2026-11-28T00:00:00Z 2026-11-29T00:00:00Z 2026-12-05T00:00:00Z"},
		{"either day", cron("0 0 13 * fri"), "2026-11-10T00:00:00Z", "2026-11-13T00:00:00Z 2026-11-20T00:00:00Z 2026-11-27T00:00:00Z 2026-12-04T00:00:00Z 2026-12-11T00:00:00Z 2026-12-13T00:00:00Z"},
		{"both days", cron("0 0 */2 * fri"), "2026-11-10T00:00:00Z", "2026-11-13T00:00:00Z 2026-11-27T00:00:00Z 2026-12-11T00:00:00Z"},
		{"the end of months", cron("0 0 31 * *"), "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z 2026-05-31T00:00:00Z"},
		{"leap day", cron("30 4 29 2 *"), "2026-01-01T00:00:00Z", "2028-02-29T04:30:00Z 2032-02-29T04:30:00Z"},
		{"no leap day in 2100", cron("30 4 29 2 *"), "2096-03-01T00:00:00Z", "2104-02-29T04:30:00Z"},
		{"names of schedules", cron("@weekly"), "2026-11-23T00:00:00Z", "2026-11-29T00:00:00Z"},

		// Berlin's clocks go from 02:00 to 03:00 on 29 March 2026, at 01:00 UTC, and back from 03:00 to 02:00 on 25 October.
		{"skipped", cron("30 2 * * *").In("Europe/Berlin"), "2026-03-28T00:00:00Z", "2026-03-28T02:30:00+01:00 2026-03-29T03:00:00+02:00 2026-03-30T02:30:00+02:00"},
		{"skipped once", cron("*/20 2,3 * * *").In("Europe/Berlin"), "2026-03-28T22:00:00Z", "2026-03-29T03:00:00+02:00 2026-03-29T03:20:00+02:00"},
		{"skipped of all hours", cron("30 * * * *").In("Europe/Berlin"), "2026-03-29T00:00:00Z", "2026-03-29T01:30:00+01:00 2026-03-29T03:30:00+02:00"},
		{"twice", cron("30 2 * * *").In("Europe/Berlin"), "2026-10-24T12:00:00Z", "2026-10-25T02:30:00+02:00 2026-10-26T02:30:00+01:00"},
		{"twice, from the second", cron("*/20 2 * * *").In("Europe/Berlin"), "2026-10-25T02:10:00+01:00", "2026-10-26T02:00:00+01:00"},
		{"twice of all hours", cron("30 * * * *").In("Europe/Berlin"), "2026-10-24T23:50:00Z", "2026-10-25T02:30:00+02:00 2026-10-25T02:30:00+01:00 2026-10-25T03:30:00+01:00"},
		{"a midnight that is skipped", cron("@daily").In("America/Sao_Paulo"), "2018-11-03T12:00:00Z", "2018-11-04T01:00:00-02:00 2018-11-05T00:00:00-02:00"},
		{"a day that is skipped", cron("0 12 30 * *").In("Pacific/Apia"), "2011-12-29T12:00:00Z", "2011-12-31T00:00:00+14:00 2012-01-30T12:00:00+14:00"},
		{"half an hour", cron("45 * * * *").In("Australia/Lord_Howe"), "2026-10-03T15:20:00Z", "2026-10-04T02:45:00+11:00 2026-10-04T03:45:00+11:00"},
		{"half an hour, skipped", cron("15 2 * * *").In("Australia/Lord_Howe"), "2026-10-03T12:00:00Z", "2026-10-04T02:30:00+11:00"},
		{"a zone in the text", cron("CRON_TZ=America/New_York 0 3 * * *"), "2026-07-01T00:00:00Z", "2026-07-01T03:00:00-04:00"},
	} {
		at, err := time.Parse(time.RFC3339, c.after)
		if err == nil {
			err = c.schedule.Err()
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		again := events.Cron(c.schedule.String())
		for i, want := range strings.Fields(c.want) {
			next := c.schedule.Next(at)
			if got := next.Format(time.RFC3339Nano); got != want {
				t.Errorf("%s: number %d is %s, want %s", c.name, i, got, want)
			}
			if other := again.Next(at); !other.Equal(next) {
				t.Errorf("%s: as text, %q, it is due at %v and not %v", c.name, c.schedule, other, next)
			}
			at = next
		}
	}
}

func TestScheduleMistakes(t *testing.T) {
	for _, c := range []struct {
		schedule events.Schedule
		want     string
	}{
		{events.Schedule{}, "the schedule is empty: use Interval or Cron"},
		{events.Interval(0), "Interval(0s): at least 1s is needed"},
		{events.Interval(time.Minute).In("Europe/Berlin"), `In("Europe/Berlin"): an interval has no time zone: use Cron`},
		{events.Cron(""), `Cron(""): it has 0 fields, and not 5: minute, hour, day of the month, month, day of the week`},
		{events.Cron("0 0 3 * * *"), "it has 6 fields, and not 5"},
		{events.Cron("0 25 * * *"), `Cron("0 25 * * *"): column 3, the hour "25": it must be 0 to 23`},
		{events.Cron("CRON_TZ=UTC 60 * * * *"), `column 13, the minute "60"`},
		{events.Cron("  0  0 1,2,32  * *"), `column 12, the day of the month "32": it must be 1 to 31`},
		{events.Cron("0 0 0 * *"), `the day of the month "0": it must be 1 to 31`},
		{events.Cron("0 0 * Foo *"), `column 7, the month "Foo": "Foo" is no number, nor one of jan, feb, mar, apr`},
		{events.Cron("0 0 * * 8"), `column 9, the day of the week "8": it must be 0 to 7`},
		{events.Cron("0 0 ? * *"), `column 5, the day of the month "?": "?" is no number`},
		{events.Cron("0 0 -1 * *"), `"" is no number`},
		{events.Cron("0 0 1,,2 * *"), `column 7, the day of the month "": "" is no number`},
		{events.Cron("0 22-2 * * *"), `column 3, the hour "22-2": its end is before its beginning: write two ranges, with a comma`},
		{events.Cron("5/15 * * * *"), `column 1, the minute "5/15": a step goes with * or a range: write 5-59/15`},
		{events.Cron("*/60 * * * *"), `the step is 60: it must be 1 to 59`},
		{events.Cron("*/0 * * * *"), `the step is 0: it must be 1 to 59`},
		{events.Cron("*/x * * * *"), `"x" is no number`},
		{events.Cron("99999999999999999999 * * * *"), "is no number"},
		{events.Cron("0 0 30 feb *"), `Cron("0 0 30 feb *"): it is never due, for no month has such a day`},
		{events.Cron("@fortnightly"), "@fortnightly is not known: use @yearly,"},
		{events.Cron("@every blue moon"), `Cron("@every blue moon"): time: invalid duration`},
		{events.Cron("@every 10ms"), "at least 1s is needed"},
		{events.Cron("CRON_TZ=Nowhere/Town 0 0 * * *"), `In("Nowhere/Town"): unknown time zone Nowhere/Town; where there is no time zone database import _ "time/tzdata"`},
		{events.Cron("@daily").In(""), `In(""): name a place`},
		{events.Cron("@daily").In("Local"), `In("Local"): name a place, such as Europe/Berlin, so that it is the same on all machines`},
	} {
		if err := c.schedule.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.schedule, err, c.want)
		}
		if next := c.schedule.Next(time.Now()); !next.IsZero() {
			t.Errorf("%s is due at %v, though it is wrong", c.schedule, next)
		}
	}
}

// field is a field of cron that was drawn: its text, and what it matches.
type field struct {
	text string
	all  bool // it begins with *
	has  map[int]bool
}

func drawField(r *rand.Rand, least, most int) field {
	f := field{has: make(map[int]bool)}
	for range 1 + r.IntN(2) {
		from, to, step := least, most, 1
		text := "*"
		if r.IntN(3) > 0 {
			from = least + r.IntN(most-least+1)
			if to = from; r.IntN(2) == 0 {
				to += r.IntN(most - from + 1)
			}
			text = fmt.Sprintf("%d-%d", from, to)
			if from == to {
				text = fmt.Sprint(from)
			}
		}
		if strings.ContainsAny(text, "*-") && r.IntN(3) == 0 {
			step = 1 + r.IntN(most-least)
			text += fmt.Sprintf("/%d", step)
		}
		for n := from; n <= to; n += step {
			f.has[n] = true
		}
		f.text = strings.TrimPrefix(f.text+","+text, ",")
	}
	f.all = f.text[0] == '*'
	return f
}

// drawn is a line of cron that was drawn.
type drawn struct{ minute, hour, day, month, weekday field }

func draw(r *rand.Rand) drawn {
	d := drawn{drawField(r, 0, 59), drawField(r, 0, 23), drawField(r, 1, 31), drawField(r, 1, 12), drawField(r, 0, 6)}
	every := field{text: "*", all: true, has: make(map[int]bool)}
	for n := range 60 {
		every.has[n] = true
	}
	for _, f := range []*field{&d.hour, &d.day, &d.month, &d.weekday} { // else it would be due on hardly any day
		if r.IntN(2) == 0 {
			*f = every
		}
	}
	return d
}

func (d drawn) String() string {
	return strings.Join([]string{d.minute.text, d.hour.text, d.day.text, d.month.text, d.weekday.text}, " ")
}

// shows reports whether a clock that shows t means that it is due.
func (d drawn) shows(t time.Time) bool {
	day := d.day.has[t.Day()] && d.weekday.has[int(t.Weekday())]
	if !d.day.all && !d.weekday.all {
		day = d.day.has[t.Day()] || d.weekday.has[int(t.Weekday())]
	}
	return d.minute.has[t.Minute()] && d.hour.has[t.Hour()] && d.month.has[int(t.Month())] && day
}

// due reports whether it is due at t, by what the documentation says of clocks that are changed.
func (d drawn) due(t time.Time) bool {
	allHours := true
	for hour := range 24 {
		allHours = allHours && d.hour.has[hour]
	}
	if allHours {
		return d.shows(t)
	}
	_, offset := t.Zone()
	_, before := t.Add(-time.Minute).Zone()
	for skipped := time.Duration(before-offset) * time.Second; skipped < 0; skipped += time.Minute {
		if d.shows(wall(t).Add(skipped)) {
			return true
		}
	}
	for ago := time.Minute; ago <= 3*time.Hour; ago += time.Minute {
		if wall(t.Add(-ago)).Equal(wall(t)) {
			return false
		}
	}
	return d.shows(t)
}

func wall(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// TestCronAgainstMinutes compares cron with a look at each minute, mostly around changes of clocks.
func TestCronAgainstMinutes(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	changes := map[string][]string{
		"Europe/Berlin":       {"2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"},
		"America/New_York":    {"2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z"},
		"Australia/Lord_Howe": {"2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z"},
		"America/Sao_Paulo":   {"2018-11-04T03:00:00Z", "2019-02-17T02:00:00Z"},
		"Asia/Kathmandu":      {"2028-02-29T00:00:00Z"},
		"UTC":                 {"2028-02-29T00:00:00Z", "2026-12-31T23:00:00Z", "2027-04-30T23:00:00Z"},
	}
	zones := slices.Sorted(func(yield func(string) bool) {
		for zone := range changes {
			if !yield(zone) {
				return
			}
		}
	})
	for range 150 {
		zone := zones[r.IntN(len(zones))]
		change, err := time.Parse(time.RFC3339, changes[zone][r.IntN(len(changes[zone]))])
		if err != nil {
			t.Fatal(err)
		}
		d := draw(r)
		schedule := events.Cron(d.String()).In(zone)
		if schedule.Err() != nil { // such as 30 February
			continue
		}
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		at := change.Add(-time.Duration(r.IntN(30*3600)) * time.Second)
		next := schedule.Next(at)
		for minute := at.Truncate(time.Minute).Add(time.Minute).In(location); minute.Before(change.Add(30 * time.Hour)); minute = minute.Add(time.Minute) {
			want := d.due(minute)
			if got := next.Equal(minute); got != want {
				t.Fatalf("seed %d: %s at %v: due is %v, want %v; the next time is %v", seed, schedule, minute, got, want, next)
			}
			if want {
				next = schedule.Next(minute)
			}
		}
		if !next.After(at) {
			t.Fatalf("seed %d: %s after %v is %v", seed, schedule, at, next)
		}
	}
}

func FuzzCron(f *testing.F) {
	for _, seed := range []string{"* * * * *", "0 3 * * mon-fri", "*/5 1-2,7 31 2/2 *", "CRON_TZ=Europe/Berlin 30 2 * * *", "@daily", "@every 1m30s", "TZ= 0", "0 0 29 2 1"} {
		f.Add(seed, int64(1_800_000_000))
	}
	f.Fuzz(func(t *testing.T, text string, at int64) {
		schedule := events.Cron(text)
		if schedule.Err() != nil {
			return
		}
		again := events.Cron(schedule.String())
		if again.Err() != nil || again.String() != schedule.String() {
			t.Fatalf("%q is %q and then %q, %v", text, schedule, again, again.Err())
		}
		after := time.Unix(at%(1<<33), 0)
		next := schedule.Next(after)
		if !next.After(after) || !next.Equal(again.Next(after)) {
			t.Fatalf("%q after %v is %v", schedule, after, next)
		}
		if earlier := schedule.Next(after.Add(next.Sub(after) / 2)); !earlier.Equal(next) {
			t.Fatalf("%q after %v is %v, and %v from the middle on", schedule, after, next, earlier)
		}
	})
}
