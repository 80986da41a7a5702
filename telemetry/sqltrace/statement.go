package sqltrace

import (
	"slices"
	"strings"
)

// statement is what is told of the text of a statement.
type statement struct {
	text       string // without literals
	summary    string // operations and what they are about, such as INSERT orders SELECT carts
	operation  string // where it is one
	collection string // where it is one
}

const (
	mostText    = 4096 // bytes
	mostSummary = 255
)

// parse reads the text of a statement. In some databases, doubled says, double quotes are around texts and not around names. What it does not understand is
// left out of the summary; literals are always left out of the text.
func parse(query string, doubled bool) *statement {
	p := parser{lexer: lexer{in: query, doubled: doubled}, levels: make([]level, 1, 8)}
	p.out.Grow(min(len(query), mostText))
	for p.next() {
		if p.out.Len() < mostText {
			p.write()
		}
		p.see()
	}
	s := &statement{text: strings.TrimSpace(p.out.String()), summary: p.summary()}
	if len(s.text) > mostText {
		s.text = strings.ToValidUTF8(s.text[:mostText], "") + "…"
	}
	if len(p.operations) == 1 {
		s.operation = p.operations[0]
		if len(p.targets) == 1 {
			s.collection = p.targets[0]
		}
	}
	return s
}

// level is what is known between two parentheses.
type level struct {
	operation bool // there was one, so FROM is before tables
	expects   bool // a table comes
	list      bool // after a comma another table comes
}

type parser struct {
	lexer
	out strings.Builder

	levels      []level
	prev, older string // words before, in capitals
	with        bool   // names of WITH come
	views       []string
	words       []string // of the summary
	operations  []string
	targets     []string
	pending     string // a table, unless it turns out to be a function
}

// write writes a token, with a space where there was any.
func (p *parser) write() {
	if p.spaced && p.out.Len() > 0 {
		p.out.WriteByte(' ')
	}
	if p.kind == literal {
		p.out.WriteByte('?')
	} else {
		p.out.WriteString(p.token)
	}
}

// operations that begin a statement, or a part of one
var operations = map[string]bool{
	"SELECT": true, "INSERT": true, "UPDATE": true, "DELETE": true, "MERGE": true, "REPLACE": true, "TRUNCATE": true, "CREATE": true, "ALTER": true, "DROP": true,
	"CALL": true, "EXEC": true, "EXECUTE": true, "BEGIN": true, "START": true, "COMMIT": true, "ROLLBACK": true, "SAVEPOINT": true, "RELEASE": true, "SET": true, "SHOW": true,
	"PRAGMA": true, "VACUUM": true, "ANALYZE": true, "EXPLAIN": true, "LISTEN": true, "UNLISTEN": true, "NOTIFY": true, "LOCK": true, "COPY": true, "GRANT": true,
	"REVOKE": true, "USE": true, "ATTACH": true, "DETACH": true, "REINDEX": true, "REFRESH": true, "DECLARE": true, "FETCH": true, "CLOSE": true, "PREPARE": true, "DEALLOCATE": true,
	"VALUES": true, "TABLE": true,
}

// inner are those that come in the middle of a statement, too.
var inner = map[string]bool{"SELECT": true, "INSERT": true, "UPDATE": true, "DELETE": true}

// tails end a list of tables.
var tails = map[string]bool{
	"WHERE": true, "SET": true, "GROUP": true, "ORDER": true, "HAVING": true, "LIMIT": true, "OFFSET": true, "VALUES": true, "RETURNING": true, "UNION": true, "EXCEPT": true,
	"INTERSECT": true, "DEFAULT": true, "FOR": true, "WINDOW": true, "FETCH": true,
}

// see takes a token into account.
func (p *parser) see() {
	top := &p.levels[len(p.levels)-1]
	switch p.kind {
	case punctuation:
		if p.token != "(" || top.list && p.prev != "" { // t(…) after FROM is a function, after INTO it is a table
			p.settle(p.token == "(" && top.list)
		} else {
			p.settle(false)
		}
		switch p.token {
		case "(":
			top.expects = false
			p.levels = append(p.levels, level{})
		case ")":
			if len(p.levels) > 1 {
				p.levels = p.levels[:len(p.levels)-1]
			}
		case ",":
			top.expects = top.list
		case ";":
			p.levels = append(p.levels[:0], level{})
			p.prev, p.older, p.with = "", "", false
			return
		}
		p.older, p.prev = p.prev, p.token
	case word:
		p.settle(false)
		p.word(top)
	default:
		p.settle(false)
		top.expects = false
		p.older, p.prev = p.prev, "?"
	}
}

// word is for a word, or a name.
func (p *parser) word(top *level) {
	upper := strings.ToUpper(p.token)
	first := p.prev == "" || p.prev == "(" && !top.operation
	defer func() { p.older, p.prev = p.prev, upper }()
	switch {
	case p.quoted:
		upper = p.token
		p.name(top)
	case upper == "WITH" && first:
		p.with = true
	case p.with && len(p.levels) == 1 && !inner[upper]:
		if (p.prev == "WITH" || p.prev == "RECURSIVE" || p.prev == ",") && upper != "RECURSIVE" {
			p.views = append(p.views, p.token)
		}
	case upper == "UPDATE" && (p.prev == "FOR" || p.prev == "DO" || p.prev == "ON" || p.prev == "KEY"), upper == "DELETE" && p.prev == "ON":
		top.list = false
	case operations[upper] && (first || inner[upper] && !top.expects || (p.prev == "EXPLAIN" || p.prev == "ANALYZE")):
		p.with = p.with && len(p.levels) > 1
		p.operation(upper)
		top.operation, top.list = true, false
		top.expects = upper == "UPDATE" || upper == "TRUNCATE" || upper == "CALL" || upper == "EXEC" || upper == "EXECUTE" || upper == "COPY"
	case upper == "FROM":
		top.expects = top.operation && (p.prev != "DISTINCT" || p.older != "IS" && p.older != "NOT")
		top.list = top.expects
	case upper == "JOIN":
		top.expects = true
	case upper == "INTO":
		top.expects, top.list = true, false
	case upper == "TABLE" && top.operation:
		top.expects = true
	case upper == "ONLY", upper == "LATERAL", upper == "IF", upper == "NOT", upper == "EXISTS":
	case upper == "ON", upper == "USING":
		top.expects = false
	case tails[upper]:
		top.expects, top.list = false, false
	default:
		p.name(top)
	}
}

// name is for one that is a table where one is expected.
func (p *parser) name(top *level) {
	if !top.expects {
		return
	}
	top.expects = false
	p.pending = p.token
}

// settle counts a table, once it is known that it is none of a function.
func (p *parser) settle(function bool) {
	name := p.pending
	p.pending = ""
	if name == "" || function || slices.Contains(p.views, name) {
		return
	}
	p.words = append(p.words, name)
	if !slices.Contains(p.targets, name) {
		p.targets = append(p.targets, name)
	}
}

func (p *parser) operation(name string) {
	p.words = append(p.words, name)
	p.operations = append(p.operations, name)
}

func (p *parser) summary() string {
	p.settle(false)
	var b strings.Builder
	for _, w := range p.words {
		if b.Len()+1+len(w) > mostSummary {
			break
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w)
	}
	return b.String()
}
