package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hanse-go/hanse/internal/httprule"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Errors of protojson say where a mistake is by line and column only. Here it gets the path of the field.

// maxFieldPath bounds the path of a field in an error, in bytes.
const maxFieldPath = 200

var jsonPosition = regexp.MustCompile(`\(line (\d+):(\d+)\): `)

// jsonMistake returns an error that says which field of data is wrong, where err, of protojson, tells it. Otherwise it is err without the
// prefix in which protojson varies blanks at random.
func jsonMistake(data []byte, err error) error {
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	text = strings.TrimPrefix(strings.TrimPrefix(text, "proto: "), "syntax error ")
	at := jsonPosition.FindStringSubmatchIndex(text)
	if at == nil {
		return fmt.Errorf("%s", text)
	}
	line, _ := strconv.Atoi(text[at[2]:at[3]])
	column, _ := strconv.Atoi(text[at[4]:at[5]])
	reason := text[:at[0]] + text[at[1]:] + fmt.Sprintf(" (line %d, column %d)", line, column)
	path := jsonPath(data, offsetOf(data, line, column))
	if path == "" {
		return fmt.Errorf("%s", reason)
	}
	return &httprule.FieldError{Field: path, Reason: reason}
}

// offsetOf returns the index of the byte at a line and column, which begin with 1 and are of runes.
func offsetOf(data []byte, line, column int) int {
	start := 0
	for range line - 1 {
		i := bytes.IndexByte(data[start:], '\n')
		if i < 0 {
			return len(data)
		}
		start += i + 1
	}
	for ; column > 1 && start < len(data); column-- { // the numbers come from a text, and end nothing
		_, size := utf8.DecodeRune(data[start:])
		start += size
	}
	return start
}

// jsonPath returns the path of the field whose name or value is at an offset, such as order.lines[2].quantity.
func jsonPath(data []byte, offset int) string {
	type level struct {
		list  bool
		name  string // of the field in an object
		named bool   // the value comes next
		index int
	}
	var levels []level
	path := func() string {
		var b strings.Builder
		for _, l := range levels {
			switch {
			case l.list:
				fmt.Fprintf(&b, "[%d]", l.index)
			case l.named:
				if b.Len() > 0 {
					b.WriteByte('.')
				}
				b.WriteString(l.name)
			}
			if b.Len() > maxFieldPath {
				return b.String()[:maxFieldPath] + "…"
			}
		}
		return b.String()
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err != nil {
			return path()
		}
		reached := dec.InputOffset() > int64(offset)
		delim, _ := token.(json.Delim)
		if delim == '}' || delim == ']' {
			levels = levels[:len(levels)-1]
			if reached {
				return path()
			}
		} else if top := len(levels) - 1; top >= 0 && !levels[top].list && !levels[top].named {
			levels[top].name, _ = token.(string)
			levels[top].named = true
			if reached {
				return path()
			}
			continue
		} else if reached {
			return path()
		} else if delim == '{' || delim == '[' {
			levels = append(levels, level{list: delim == '['})
			continue
		}
		// A value is complete.
		if top := len(levels) - 1; top >= 0 {
			levels[top].named = false
			levels[top].index++
		}
	}
}

// badRequest is the status of a call whose request cannot be understood, because of what. It tells programs the field, where there is one.
func badRequest(err error, what string) error {
	var of *httprule.FieldError
	if !errors.As(err, &of) {
		return status.Errorf(codes.InvalidArgument, "%s: %v", what, err)
	}
	st := status.New(codes.InvalidArgument, err.Error())
	violation := &errdetails.BadRequest_FieldViolation{Field: of.Field, Description: of.Reason}
	if with, err := st.WithDetails(&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{violation}}); err == nil {
		st = with
	}
	return st.Err()
}
