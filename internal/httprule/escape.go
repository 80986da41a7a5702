package httprule

import "strings"

// unescape takes percent-encoding away. With keepSlash an encoded slash stays as it is. ok is false for a percent sign that two
// hexadecimal digits do not follow.
func unescape(s string, keepSlash bool) (_ string, ok bool) {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s, true
	}
	var b strings.Builder
	b.Grow(len(s))
	for ; i >= 0; i = strings.IndexByte(s, '%') {
		b.WriteString(s[:i])
		if len(s) < i+3 {
			return "", false
		}
		high, ok1 := unhex(s[i+1])
		low, ok2 := unhex(s[i+2])
		if !ok1 || !ok2 {
			return "", false
		}
		if c := high<<4 | low; c == '/' && keepSlash {
			b.WriteString(s[i : i+3])
		} else {
			b.WriteByte(c)
		}
		s = s[i+3:]
	}
	b.WriteString(s)
	return b.String(), true
}

func unhex(c byte) (byte, bool) {
	switch {
	case isDigit(c):
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// escape percent-encodes all but letters, digits and -_.~, and the slash with keepSlash.
func escape(s string, keepSlash bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case isLetter(c), isDigit(c), c == '-', c == '.', c == '~', c == '/' && keepSlash:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}

// dots reports whether a segment has a meaning of its own in paths.
func dots(s string) bool { return s == "." || s == ".." }
