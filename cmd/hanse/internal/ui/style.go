package ui

import "charm.land/lipgloss/v2"

// Style is a way to print text that stands for one meaning. Only the sixteen colours of the terminal's own theme are used.
type Style int

// The styles.
const (
	Plain   Style = iota
	Strong        // headings, names that matter
	Faint         // what may be overlooked
	Good          // done, ready
	Warning       // needs a look
	Bad           // failed
	Accent        // commands, addresses, things to type or open
)

// Sprint returns text in the style. Only text without line breaks keeps its shape.
func (s Style) Sprint(text string) string {
	st := lipgloss.NewStyle()
	switch s {
	case Strong:
		st = st.Bold(true)
	case Faint:
		st = st.Faint(true)
	case Good:
		st = st.Foreground(lipgloss.Green)
	case Warning:
		st = st.Foreground(lipgloss.Yellow)
	case Bad:
		st = st.Foreground(lipgloss.Red)
	case Accent:
		st = st.Foreground(lipgloss.Cyan)
	default:
		return text
	}
	return st.Render(text)
}
