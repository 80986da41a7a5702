package sqltrace

import "strings"

type kind int

const (
	word        kind = iota // also a name, with its dots and quotes
	literal                 // a text, a number, bytes
	placeholder             // of an argument
	punctuation             // one byte
)

// lexer cuts SQL into tokens. It knows the literals of PostgreSQL, SQLite, MySQL and SQL Server, and takes for a literal rather too much than too little.
type lexer struct {
	in      string
	doubled bool // double quotes are around texts
	at      int

	token  string
	kind   kind
	quoted bool // a name in quotes
	spaced bool // there was space, or a comment, before it
}

// next reports false at the end.
func (l *lexer) next() bool {
	l.space()
	if l.at >= len(l.in) {
		return false
	}
	begin := l.at
	l.quoted = false
	c := l.in[l.at]
	switch {
	case c == '\'':
		l.kind = literal
		l.quote('\'', l.backslash(begin))
	case c == '"' && l.doubled:
		l.kind = literal
		l.quote('"', true)
	case c == '"' || c == '`' || c == '[' && l.brackets():
		l.name()
	case c == '$':
		l.dollar()
	case isDigit(c) || c == '.' && l.at+1 < len(l.in) && isDigit(l.in[l.at+1]):
		l.kind = literal
		l.number()
	case c == '?':
		l.kind = placeholder
		l.at++
		l.digits()
	case (c == ':' || c == '@') && l.at+1 < len(l.in) && isLetter(l.in[l.at+1]) && (l.at == 0 || l.in[l.at-1] != c):
		l.kind = placeholder
		l.at++
		l.letters()
	case c == '@' && strings.HasPrefix(l.in[l.at:], "@@"):
		l.kind = word
		l.at += 2
		l.letters()
	case isLetter(c):
		l.wordOrPrefix()
	default:
		l.kind = punctuation
		l.at++
	}
	l.token = l.in[begin:l.at]
	return true
}

// space skips what says nothing.
func (l *lexer) space() {
	begin := l.at
	for l.at < len(l.in) {
		rest := l.in[l.at:]
		switch {
		case rest[0] <= ' ':
			l.at++
		case strings.HasPrefix(rest, "--"):
			l.until("\n", 2)
		case strings.HasPrefix(rest, "/*"):
			l.comment()
		default:
			l.spaced = l.at > begin
			return
		}
	}
}

// comment skips one, with those in it.
func (l *lexer) comment() {
	for depth := 0; l.at < len(l.in); {
		switch rest := l.in[l.at:]; {
		case strings.HasPrefix(rest, "/*"):
			depth++
			l.at += 2
		case strings.HasPrefix(rest, "*/"):
			l.at += 2
			if depth--; depth == 0 {
				return
			}
		default:
			l.at++
		}
	}
}

// until moves behind an end that is at least skip bytes away, or to the end of all.
func (l *lexer) until(end string, skip int) {
	if i := strings.Index(l.in[l.at+skip:], end); i >= 0 {
		l.at += skip + i + len(end)
	} else {
		l.at = len(l.in)
	}
}

// quote moves behind a text or name in quotes, in which they may be doubled, or escaped.
func (l *lexer) quote(end byte, escapes bool) {
	for l.at++; l.at < len(l.in); l.at++ {
		switch {
		case l.in[l.at] == '\\' && escapes:
			l.at++
		case l.in[l.at] != end:
		case l.at+1 < len(l.in) && l.in[l.at+1] == end:
			l.at++
		default:
			l.at++
			return
		}
	}
	l.at = len(l.in)
}

// backslash says whether a backslash escapes in the text that begins here.
func (l *lexer) backslash(begin int) bool {
	return l.doubled || begin > 0 && (l.in[begin-1] == 'E' || l.in[begin-1] == 'e')
}

// brackets says whether what begins here is a name of SQL Server, and no index of an array, which is behind something.
func (l *lexer) brackets() bool {
	return l.at == 0 || strings.IndexByte(" \t\r\n.,(=", l.in[l.at-1]) >= 0
}

// name reads one that may be quoted and have dots.
func (l *lexer) name() {
	l.kind, l.quoted = word, l.in[l.at] == '"' || l.in[l.at] == '`' || l.in[l.at] == '['
	for l.at < len(l.in) {
		switch c := l.in[l.at]; {
		case c == '"' && !l.doubled || c == '`':
			l.quote(c, false)
		case c == '[' && l.brackets():
			l.quote(']', false)
		case isLetter(c):
			l.letters()
		default:
			return
		}
		if l.at+1 >= len(l.in) || l.in[l.at] != '.' || !isLetter(l.in[l.at+1]) && strings.IndexByte("\"`[", l.in[l.at+1]) < 0 {
			return
		}
		l.at++
	}
}

// wordOrPrefix reads a word, or a text with letters before its quotes.
func (l *lexer) wordOrPrefix() {
	begin := l.at
	l.letters()
	if l.at < len(l.in) && l.in[l.at] == '\'' && l.at-begin <= 2 { // E'', X'', B'', N'', and U& is below
		l.kind = literal
		l.quote('\'', l.backslash(l.at))
		return
	}
	if l.at-begin == 1 && strings.HasPrefix(l.in[l.at:], "&'") {
		l.kind = literal
		l.at++
		l.quote('\'', false)
		return
	}
	l.at = begin
	l.name()
}

// dollar reads a placeholder, $1 or $name, or a text between $tag$ and $tag$.
func (l *lexer) dollar() {
	begin := l.at
	l.at++
	if l.at < len(l.in) && isDigit(l.in[l.at]) {
		l.kind = placeholder
		l.digits()
		return
	}
	for l.at < len(l.in) && l.in[l.at] != '$' && (isLetter(l.in[l.at]) || isDigit(l.in[l.at])) {
		l.at++
	}
	if l.at < len(l.in) && l.in[l.at] == '$' {
		tag := l.in[begin : l.at+1]
		l.kind = literal
		l.at = begin
		l.until(tag, len(tag))
		return
	}
	if l.at-begin > 1 {
		l.kind = placeholder
		return
	}
	l.kind = punctuation
}

func (l *lexer) number() {
	for l.at < len(l.in) {
		c := l.in[l.at]
		switch {
		case isDigit(c), isLetter(c), c == '.':
		case (c == '+' || c == '-') && (l.in[l.at-1] == 'e' || l.in[l.at-1] == 'E'):
		default:
			return
		}
		l.at++
	}
}

func (l *lexer) digits() {
	for l.at < len(l.in) && isDigit(l.in[l.at]) {
		l.at++
	}
}

func (l *lexer) letters() {
	for l.at < len(l.in) && (isLetter(l.in[l.at]) || isDigit(l.in[l.at]) || l.in[l.at] == '$') {
		l.at++
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isLetter is for what may begin a name; other letters than those of ASCII may.
func isLetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= 0x80
}
