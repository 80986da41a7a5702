package outbox

// statements are those in which the two dialects differ.
type statements struct {
	now     string // ms since 1970, by the clock of the database
	pending string // which of some topics have events
	read    string // the first events of a topic
	readBut string // those of some lanes left out
	remove  string // events by number
	others  string // topics other than some, with events of before a time
}

func statementsOf(d Dialect) statements {
	if d == Postgres {
		return statements{
			now: `(extract(epoch FROM clock_timestamp()) * 1000)::bigint`,
			pending: `SELECT t.name FROM jsonb_array_elements_text($1::text::jsonb) AS t (name)
				WHERE EXISTS (SELECT 1 FROM hanse_outbox o WHERE o.topic = t.name)`,
			read: readRows + ` ORDER BY seq LIMIT $2`,
			readBut: readRows + ` AND lane NOT IN (SELECT t.name FROM jsonb_array_elements_text($3::text::jsonb) AS t (name))
				ORDER BY seq LIMIT $2`,
			remove: `DELETE FROM hanse_outbox WHERE seq IN (SELECT t.seq::bigint FROM jsonb_array_elements_text($1::text::jsonb) AS t (seq))`,
			others: `SELECT DISTINCT topic FROM hanse_outbox WHERE created_at < $2 AND topic NOT IN (SELECT t.name FROM jsonb_array_elements_text($1::text::jsonb) AS t (name))`,
		}
	}
	return statements{
		now: `CAST(unixepoch('subsec') * 1000 AS INTEGER)`,
		pending: `SELECT t.value FROM json_each($1) AS t
			WHERE EXISTS (SELECT 1 FROM hanse_outbox o WHERE o.topic = t.value)`,
		read:    readRows + ` ORDER BY seq LIMIT $2`,
		readBut: readRows + ` AND lane NOT IN (SELECT t.value FROM json_each($3) AS t) ORDER BY seq LIMIT $2`,
		remove:  `DELETE FROM hanse_outbox WHERE seq IN (SELECT t.value FROM json_each($1) AS t)`,
		others:  `SELECT DISTINCT topic FROM hanse_outbox WHERE created_at < $2 AND topic NOT IN (SELECT t.value FROM json_each($1) AS t)`,
	}
}

const readRows = `SELECT seq, lane, attributes, data FROM hanse_outbox WHERE topic = $1`

// hold is the statement that takes the lease of topic $1 for owner $2, for $3 ms, unless another has it. One whose end is far away is of a clock that was
// set back.
func (s statements) hold() string {
	return `INSERT INTO hanse_outbox_lease AS l (topic, owner, until) VALUES ($1, $2, ` + s.now + ` + CAST($3 AS bigint))
		ON CONFLICT (topic) DO UPDATE SET owner = excluded.owner, until = excluded.until
		WHERE l.owner = excluded.owner OR l.until <= ` + s.now + ` OR l.until > ` + s.now + ` + 600000`
}

// held is the query of how long, in ms, the lease of a topic lasts.
func (s statements) held() string {
	return `SELECT until - ` + s.now + ` FROM hanse_outbox_lease WHERE topic = $1`
}

const releaseAll = `UPDATE hanse_outbox_lease SET until = 0 WHERE owner = $1`
