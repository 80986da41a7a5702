package tally

import (
	"os"
	"strings"
	"sync"
	"time"
)

// Book is a file of entries, which several processes may write at the same time. What Write has returned for outlives its process.
type Book struct {
	mu   sync.Mutex
	file *os.File
}

// OpenBook opens a book, and makes it when it is not there.
func OpenBook(path string) (*Book, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &Book{file: f}, nil
}

// Write writes an entry down, with the time.
func (b *Book) Write(m Mark, published time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, err := b.file.WriteString(Entry{m, published, time.Now(), os.Getpid()}.Line())
	return err
}

// Close closes the file.
func (b *Book) Close() error { return b.file.Close() }

// ReadBook returns the entries of a book, in their order; none when it is not there. A last line that was cut off is left out.
func ReadBook(path string) ([]Entry, error) {
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	var all []Entry
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		e, err := ParseLine(line)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}
