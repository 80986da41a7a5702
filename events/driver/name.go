package driver

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var topicName = regexp.MustCompile(`^[a-z][a-z0-9-]*(\.[a-z0-9-]+)*$`)

// CheckTopic says what is wrong with the name of a topic.
func CheckTopic(name string) error {
	if !topicName.MatchString(name) {
		return fmt.Errorf("topic %q: want names of a-z, 0-9 and '-', with dots between them", name)
	}
	return nil
}

// Token makes any text a part of a name on an engine: bytes other than letters, digits and "-" become "_" and two hexadecimal digits. Different texts
// have different tokens.
func Token(text string) string {
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}

// Untoken returns the text of a token. What Token did not write stays as it is.
func Untoken(name string) string {
	b := make([]byte, 0, len(name))
	for i := 0; i < len(name); i++ {
		if name[i] == '_' && i+2 < len(name) {
			if c, err := strconv.ParseUint(name[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(c))
				i += 2
				continue
			}
		}
		b = append(b, name[i])
	}
	return string(b)
}
