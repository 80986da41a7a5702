package discovery

// splitBoard is a board of splits. One without rules is none.
type splitBoard struct{ board[Split] }

// set puts a split on the board in place of that of its service; one without rules takes it off.
func (b *splitBoard) set(s Split) {
	if s.Off() {
		b.remove(s.Service)
	} else {
		b.board.set(s)
	}
}
