package events

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// cron is the five fields of a line of crontab, each a set of numbers.
type cron struct {
	minutes, hours, days, months, weekdays uint64
	either                                 bool // a day counts that is in days or in weekdays, not only one in both
}

// cronField is what is known of one of the fields.
type cronField struct {
	name        string
	least, most int
	words       []string // for numbers from least on
}

var cronFields = [...]cronField{
	{name: "minute", most: 59},
	{name: "hour", most: 23},
	{name: "day of the month", least: 1, most: 31},
	{name: "month", least: 1, most: 12, words: strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")},
	{name: "day of the week", most: 7, words: strings.Fields("sun mon tue wed thu fri sat")},
}

var cronNames = map[string]string{
	"@yearly":   "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
	"@monthly":  "0 0 1 * *",
	"@weekly":   "0 0 * * 0",
	"@daily":    "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@hourly":   "0 * * * *",
}

// parseCron reads a line.
func parseCron(line string) (*cron, error) {
	if name := strings.TrimSpace(line); strings.HasPrefix(name, "@") {
		if line = cronNames[strings.ToLower(name)]; line == "" {
			return nil, fmt.Errorf("%s is not known: use @yearly, @monthly, @weekly, @daily, @hourly, or @every with a duration", name)
		}
	}
	words := strings.Fields(line)
	if len(words) != len(cronFields) {
		return nil, fmt.Errorf("it has %d fields, and not 5: minute, hour, day of the month, month, day of the week", len(words))
	}
	var sets [len(cronFields)]uint64
	at := 0
	for i, word := range words {
		at += strings.Index(line[at:], word)
		set, err := cronFields[i].parse(word, at+1)
		if err != nil {
			return nil, err
		}
		sets[i] = set
		at += len(word)
	}
	const sundays = 1<<7 | 1<<0
	if sets[4]&sundays != 0 {
		sets[4] |= sundays
	}
	return &cron{
		minutes: sets[0], hours: sets[1], days: sets[2], months: sets[3], weekdays: sets[4],
		either: words[2][0] != '*' && words[4][0] != '*',
	}, nil
}

// parse reads a field, which begins at a column.
func (f *cronField) parse(word string, column int) (set uint64, err error) {
	for part := range strings.SplitSeq(word, ",") {
		numbers, err := f.part(part)
		if err != nil {
			return 0, fmt.Errorf("column %d, the %s %q: %w", column, f.name, part, err)
		}
		set |= numbers
		column += len(part) + 1
	}
	return set, nil
}

// part reads what is between commas.
func (f *cronField) part(part string) (set uint64, err error) {
	span, stepText, stepped := strings.Cut(part, "/")
	first, last := f.least, f.most
	if span != "*" {
		from, to, isRange := strings.Cut(span, "-")
		if first, err = f.number(from); err != nil {
			return 0, err
		}
		last = first
		if isRange {
			if last, err = f.number(to); err != nil {
				return 0, err
			}
		} else if stepped {
			return 0, fmt.Errorf("a step goes with * or a range: write %s-%d/%s", span, f.most, stepText)
		}
		if f.most == 7 && last == 0 && first > 0 { // up to Sunday
			last = 7
		}
		if first > last {
			return 0, errors.New("its end is before its beginning: write two ranges, with a comma")
		}
	}
	step := 1
	if stepped {
		if step, err = digits(stepText); err != nil {
			return 0, err
		}
		if step < 1 || step > f.most-f.least {
			return 0, fmt.Errorf("the step is %d: it must be 1 to %d", step, f.most-f.least)
		}
	}
	for n := first; n <= last; n += step {
		set |= 1 << n
	}
	return set, nil
}

// number reads a number or a name.
func (f *cronField) number(text string) (int, error) {
	for i, name := range f.words {
		if strings.EqualFold(text, name) {
			return f.least + i, nil
		}
	}
	n, err := digits(text)
	switch {
	case err != nil && f.words != nil:
		return 0, fmt.Errorf("%w, nor one of %s", err, strings.Join(f.words, ", "))
	case err != nil:
		return 0, err
	case n < f.least || n > f.most:
		return 0, fmt.Errorf("it must be %d to %d", f.least, f.most)
	}
	return n, nil
}

func digits(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", text)
	}
	return int(n), nil
}

const everyHour = 1<<24 - 1

// next returns when it is due next, after a time and by the clocks of its location, or zero.
func (c *cron) next(after time.Time) time.Time {
	if c.hours == everyHour {
		return c.nextPassing(after)
	}
	for shown := clock(after).Truncate(time.Minute).Add(time.Minute); ; shown = shown.Add(time.Minute) {
		var ok bool
		if shown, ok = c.find(shown); !ok {
			return time.Time{}
		}
		if t := firstShown(shown, after.Location()); t.After(after) { // else it comes a second time
			return t
		}
	}
}

// nextPassing is next by the time that passes: between two changes of the clocks they go like any others.
func (c *cron) nextPassing(after time.Time) time.Time {
	from := after.Add(1)
	for {
		_, change := from.ZoneBounds()
		_, offset := from.Zone()
		shown, ok := c.find(clock(from).Add(time.Minute - 1).Truncate(time.Minute))
		if !ok {
			return time.Time{}
		}
		if t := shown.Add(-time.Duration(offset) * time.Second).In(after.Location()); change.IsZero() || t.Before(change) {
			return t
		}
		from = change
	}
}

// clock returns what a clock at a time's location shows, as a time in UTC.
func clock(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// farthest is more than any zone is away from UTC.
const farthest = 26 * time.Hour

// firstShown returns when clocks at a location show something first, or the moment of the change that skips it.
func firstShown(shown time.Time, at *time.Location) time.Time {
	for from := shown.Add(-farthest).In(at); ; {
		begin, change := from.ZoneBounds()
		_, offset := from.Zone()
		t := shown.Add(-time.Duration(offset) * time.Second).In(at)
		switch {
		case t.Before(begin):
			return begin
		case change.IsZero() || t.Before(change):
			return t
		}
		from = change
	}
}

// years is how long is searched for a day; a 29 February that is a Monday comes after 40 at the latest.
const years = 50

// find returns the first time at or after t that the fields name, on a clock that is never changed.
func (c *cron) find(t time.Time) (time.Time, bool) {
	for end := t.Year() + years; t.Year() <= end; {
		year, month, day := t.Date()
		hour := following(c.hours, t.Hour())
		minute := following(c.minutes, t.Minute())
		switch {
		case c.months>>month&1 == 0:
			t = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
		case !c.onDay(t) || hour < 0:
			t = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
		case hour > t.Hour():
			t = time.Date(year, month, day, hour, 0, 0, 0, time.UTC)
		case minute < 0:
			t = time.Date(year, month, day, hour+1, 0, 0, 0, time.UTC)
		default:
			return time.Date(year, month, day, hour, minute, 0, 0, time.UTC), true
		}
	}
	return time.Time{}, false
}

func (c *cron) onDay(t time.Time) bool {
	ofMonth, ofWeek := c.days>>t.Day()&1 == 1, c.weekdays>>t.Weekday()&1 == 1
	if c.either {
		return ofMonth || ofWeek
	}
	return ofMonth && ofWeek
}

// following returns the least number of a set from n on, -1 when there is none.
func following(set uint64, n int) int {
	if set >>= n; set == 0 {
		return -1
	}
	return n + bits.TrailingZeros64(set)
}
