package ui

import (
	"io"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
)

// Table collects rows and prints them in aligned columns without lines, which also reads well in a pipe.
type Table struct {
	head  []string
	rows  [][]string
	right []string // heads
}

// NewTable returns a table with the given column heads.
func NewTable(head ...string) *Table { return &Table{head: head} }

// Row adds a row. Cells may be styled. Missing cells are empty.
func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// Right aligns the columns with these heads on the right, as numbers are.
func (t *Table) Right(heads ...string) { t.right = append(t.right, heads...) }

// Len returns the number of rows.
func (t *Table) Len() int { return len(t.rows) }

// WriteTo prints the table. The heads are left out when all of them are empty, and so are columns in which no row has anything.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	heads, rows := t.filled()
	if strings.Join(heads, "") != "" {
		head := make([]string, len(heads))
		for i, h := range heads {
			head[i] = Faint.Sprint(h)
		}
		rows = append([][]string{head}, rows...)
	}
	var widths []int
	var right []bool
	for _, h := range heads {
		right = append(right, slices.Contains(t.right, h))
	}
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], lipgloss.Width(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for len(row) > 0 && row[len(row)-1] == "" { // no blanks at the ends of lines
			row = row[:len(row)-1]
		}
		for i, cell := range row {
			blanks := widths[i] - lipgloss.Width(cell)
			if i < len(right) && right[i] {
				b.WriteString(strings.Repeat(" ", blanks))
				blanks = 0
			}
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", blanks+2))
			}
		}
		b.WriteByte('\n')
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// filled returns the heads and rows without the columns that are empty in all rows.
func (t *Table) filled() (heads []string, rows [][]string) {
	if len(t.rows) == 0 {
		return t.head, nil
	}
	empty := func(column int) bool {
		return !slices.ContainsFunc(t.rows, func(row []string) bool { return column < len(row) && row[column] != "" })
	}
	rows = make([][]string, len(t.rows))
	for column := range t.head {
		if empty(column) {
			continue
		}
		heads = append(heads, t.head[column])
		for i, row := range t.rows {
			if column < len(row) {
				rows[i] = append(rows[i], row[column])
			} else {
				rows[i] = append(rows[i], "")
			}
		}
	}
	return heads, rows
}

// Crop cuts text to so many columns and rows, so that it can be drawn in place; the last row says how many more there are.
func Crop(text string, columns, rows int) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if rows = max(rows, 1); len(lines) > rows {
		more := len(lines) - rows + 1
		lines = append(lines[:rows-1], Faint.Sprint("… "+Plural(more, "more line")))
	}
	for i, line := range lines {
		if lipgloss.Width(line) > columns {
			lines[i] = lipgloss.NewStyle().MaxWidth(max(columns, 1)).Render(line)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}
