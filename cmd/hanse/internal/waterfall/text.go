package waterfall

import (
	"strings"
	"unicode"

	"charm.land/lipgloss/v2"
)

// columns is how wide a text is, styled or not.
func columns(text string) int { return lipgloss.Width(text) }

// cut shortens a text without styles to so many columns.
func cut(text string, width int) string {
	if columns(text) <= width {
		return text
	}
	at := 0
	for i, r := range text {
		if at += columns(string(r)); at >= width {
			return text[:i] + "…"
		}
	}
	return text
}

// fit makes a text without styles exactly so many columns wide.
func fit(text string, width int) string {
	text = cut(text, width)
	return text + strings.Repeat(" ", max(width-columns(text), 0))
}

// wrap breaks a text, styled or not, into lines of so many columns, at most some of them.
func wrap(text string, width, most int) []string {
	lines := strings.Split(lipgloss.Wrap(text, max(width, 10), ""), "\n")
	if len(lines) > most {
		lines = append(lines[:most], "…")
	}
	return lines
}

// clean takes out what would move the cursor, and line breaks.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, text)
}
