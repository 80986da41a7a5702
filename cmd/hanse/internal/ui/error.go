package ui

import (
	"errors"
	"fmt"
	"strings"
)

// Exit statuses of the hanse command.
const (
	ExitOK      = 0
	ExitFailure = 1
	ExitUsage   = 2
)

// Error is a failure with a way out: what went wrong (and where), and what to do about it.
type Error struct {
	What string // a clause without capital and full stop: `no service "crt"`
	Do   string // what to do next: `did you mean cart?`. May be empty
	Exit int    // exit status; 0 is ExitFailure
	Err  error  // the cause, for errors.Is; What has its text already. May be nil
}

// Errorf returns an Error whose What is formatted; it wraps the operand of %w, as [fmt.Errorf] does.
func Errorf(format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{What: err.Error(), Err: errors.Unwrap(err)}
}

// Usagef is [Errorf] for wrong usage of a command: exit status 2.
func Usagef(format string, args ...any) *Error {
	e := Errorf(format, args...)
	e.Exit = ExitUsage
	return e
}

// Then says what to do next and returns e.
func (e *Error) Then(format string, args ...any) *Error {
	e.Do = fmt.Sprintf(format, args...)
	return e
}

// Error returns "what; what to do".
func (e *Error) Error() string {
	if e.Do == "" {
		return e.What
	}
	return e.What + "; " + e.Do
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Silent is an error that has been shown already: only its exit status counts.
type Silent struct{ Exit int }

// Error is never shown.
func (s Silent) Error() string { return fmt.Sprintf("exit status %d", s.Exit) }

// Fail shows err on Err as "hanse: what; what to do" and returns the exit status that it stands for.
func (u *UI) Fail(err error) int {
	if err == nil {
		return ExitOK
	}
	var silent Silent
	if errors.As(err, &silent) {
		return silent.Exit
	}
	exit := ExitFailure
	text := err.Error()
	var e *Error
	if errors.As(err, &e) {
		if e.Exit != 0 {
			exit = e.Exit
		}
		if err == error(e) && e.Do != "" {
			text = e.What + "; " + Accent.Sprint(e.Do)
			if strings.Contains(e.Do, "\n") { // a style would fill the lines up
				text = e.Error()
			}
		}
	}
	fmt.Fprintf(u.Err, "%s %s\n", Bad.Sprint("hanse:"), text)
	return exit
}
